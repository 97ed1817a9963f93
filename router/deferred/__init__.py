"""
Jobs: transcriptions that outlive the connection that asked for them. The life of a job:

    desk        POST /v1/jobs: the form read and checked, its clip then kept; status, list, cancel, result
    book        the way from the event loop to the store, which blocks, and back
    store       every change of a job is one transaction; `rows` in `sqlite` or `postgres`, audio on a `shelf`
    capacity    how much may be kept, by all and by one key
    gate        whether a job may start now: nobody waits, a slot is free, and one is left for live requests
    runner      claims the next job for the length of a lease, renews it, and sends the job through the intake
    listener    the worker's events: progress, then the whole answer
    verdict     what an answer or an error means for the job: done, failed, or later again
    webhook     tells the caller's server that a job ended; `callback` says which servers may be told

A claim has a token that grows with every claim of the same job, and every write of a runner names its token. A runner
that lost its lease, because it hung or its router was killed, therefore cannot write over the one that took the job on.
`record` is what is known of a job, `place` reads JOBS, and `service` builds the parts.
"""
