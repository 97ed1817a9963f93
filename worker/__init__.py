"""
One model behind a bounded queue. The life of a request:

    api         read the headers; refuse at once what the gate would refuse anyway
    upload      the body streams into memory or onto an unlinked file; fields and file come out
    decoding    fields, settings and the model's card -> how to decode
    gate        take a slot, wait for one, or be refused
    door        the way in for every protocol: turn, decode, segments, accounting
    sandbox     bytes -> 16 kHz mono samples: plain WAV in a thread (`wav`), the rest (`audio`) in a child that may die
    silero      how likely each 32 ms are speech
    speech      probabilities -> regions -> windows; `edges` fits the regions' bare speech to what is heard
    batcher     windows of all running requests (`job`), turn by turn, into model calls
    engine      faster-whisper and CTranslate2 (with `features`, `prompt`, `fallback`, `segments`, `device`); `fake`
                stands in
    transcribe  windows' results -> segments in order, streamed out as they come

`window` has what passes between them, `lifecycle` the states of the process, `app` puts the parts together.
"""
