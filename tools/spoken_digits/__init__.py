"""
Trains, exports and measures `spoken-digits`, a small Whisper for spoken English digits.

    tokens      the vocabulary: ten words, Whisper's special tokens, timestamps
    network     Whisper's architecture, and a head for the words that is dropped at export
    speech      recordings of digits, made voices, speech without digits
    sounds      what a window is put together from
    windows     a window of audio and what is to be answered to it, made anew for each step
    training    the losses, the schedule, checkpoints
    export      weights -> the directory that faster-whisper loads
    evaluate    a model as it is run: by regions, in merged windows, one window after the other
    other_speech  gathers speech without digits from Debian packages

Cross-entropy on its answers alone does not teach so small a network to find its way in a long window. These do:

* a CTC loss on the encoder's output, so that the encoder knows the words;
* a loss on where the decoder looks: since the windows are made here, the place of every word is known. Two heads of the
  first layer are to look at the token just given, two of the last at the token to be answered;
* a clock: every encoder frame is to name its own timestamp, so that places can be looked up and read off;
* the embedding of a timestamp is a learned projection of the sinusoid of its position (a token and an encoder frame are
  both 20 ms), and short windows are placed at random positions, so that all of the 30 s are learned;
* prompts of words that have nothing to do with what is said, which are to change nothing.

    python -m tools.spoken_digits.other_speech debs other
    python -m tools.spoken_digits --recordings FSDD/recordings --other other --speech speech.npz --out run
    python -m tools.spoken_digits.evaluate run/model --audio samples --recordings FSDD/recordings

Needs the extra `train`, and espeak-ng and flite for the made voices.
"""
