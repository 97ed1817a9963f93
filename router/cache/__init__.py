"""
Keeps answers, so that what was asked before is answered without a worker. Off unless CACHE says otherwise.

    key      what makes two requests the same: the audio's hash, what is asked, the model, whose it is
    answer   an answer as it is kept; recording listens while a worker gives one
    flights  equal requests at the same time share one run
    story    looks up, joins or runs, and keeps what is whole; stands between intake and dispatcher
    store    where answers lie, in one of three ways: memory, disk, redis; stores opens what CACHE says
    guard    a store that is slow or gone costs hits, never a request
    desk     /stats, DELETE /cache and the series on /metrics
"""
