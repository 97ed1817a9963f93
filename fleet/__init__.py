"""
What router, worker and load test must agree on, and nothing else.

A name belongs here when two of them need it; it moves out when one stops. Nothing here imports them.

    errors     every error a caller can meet: status, code, whether to retry
    wire       Segment, Transcript, LoadReport and the names of the X-Fleet-* headers
    form       multipart/form-data read by a strict push parser, within limits
    fields     the form's fields -> TranscriptionRequest, as the OpenAI audio API names them
    language   Whisper's languages: codes, English names, and what clients send instead
    render     Transcript -> json, verbose_json, text, srt, vtt, server-sent events
    settings   environment and options -> one frozen record; --help
    web        what every HTTP answer of ours has: request id, error envelope, aliases of a route
    figure     a number with three digits, for tables
    malloc     settings of glibc's allocator
    serve      run one aiohttp application: signals, drain, close, exit code
    supervise  a router and N workers on this machine (`whisper-fleet up`)
    cli        the console script
"""

__version__ = "0.1.0"
