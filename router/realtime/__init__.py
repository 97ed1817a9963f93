"""
Live transcription by OpenAI's realtime events over a WebSocket: text while somebody speaks. The life of a session:

    websocket   the handshake: key, seat, origin; then frames in, frames out, idle time, drain
    seats       so many sessions at most, and what is told of them
    events      one frame -> one event of the caller's (append, commit, clear, update); our events -> frames
    config      what the caller wants, in the current shape of the API and in its beta shape
    pcm         24 kHz PCM or G.711 -> 16 kHz samples, as they come; ears has the threads that do it
    turns       probabilities of speech -> somebody began to speak, somebody stopped
    track       the audio that is still needed
    session     tells the story: a turn is announced, guessed at while it lasts, committed, transcribed
    draft       guesses at an open turn -> the part of the text that no longer changes

A turn goes through the router's queue like any upload. Guesses are made only while a slot is idle, one at a time.
"""
