"""
Finds the right worker for each request at the right moment. The life of a request:

    keys, api   who may ask (keyring, lockout), from which pages (cors), by which HTTP route; wyoming is another door
    intake      what every door calls: the form read as it streams in (upload), its body kept in a spool
    allowance   what is left to the key of its limits; audit: who had how much transcribed
    cache       what was asked before is answered from what is kept, if CACHE is on
    deferred    jobs: kept in a store, run through the intake when a slot is free
    duration    how many seconds of audio the first 64 KB promise; estimate: what that costs in seconds of work
    admission   refused at once, with a paced Retry-After (ticket), if its turn would come too late
    queue_order otherwise it waits in the one queue: by age and size, fair between keys
    assign      the moment a worker has a free slot (pool, upstream), the next in order gets it (policy picks)
    attempt     one try on that worker: body up, reply down, every failure named; connector has the line to it
    dispatch    tells the story above; retry decides what a failed attempt means, within the caller's deadline
    ejection    workers that fail are left out for a while and come back with one small request
    probe       asks each worker how it is; discovery says which workers there are
    status      shows it all on /lb-status; metrics on /metrics; admin holds the operator's verbs; pages has what
                browsers get (signpost: where there is nothing); description is the API for programs and people

`app` builds the parts and hands them to each other. The decisions (queue_order, assign, policy, pool, ejection,
estimate, duration, admission, ticket, retry) know no clock and no socket: time and randomness are passed in, and the
simulator in tests/sim runs the same files in virtual time.
"""
