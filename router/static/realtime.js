// One live session on /v1/realtime: what the microphone hears goes up, turns and their text come down.

import { key, keyHeaders } from "./key.js";
import { joined, Resampler } from "./resample.js";
import { refusal } from "./transcribe.js";
import { pcm16 } from "./wav.js";

const PATH = "/v1/realtime?intent=transcription";
const RATE = 24_000; // the API's
const PIECE_S = 0.1; // of audio in a message
const UNSENT_BYTES_MAX = 1e6; // 16 s of audio that the line did not take
const ITEM = "conversation.item.input_audio_transcription.";
const NOTHING_TO_COMMIT = "input_audio_buffer_commit_empty";
const LOST = "The connection to the router was lost.";

/**
 * A session. `onTurns(turns)` is called with all of them each time one changes: [{start, end, text, isOpen, lateMs}],
 * in seconds of what was heard; `lateMs` is from a turn's end to its text. `onTrouble(message)` is called with what a
 * person should know, `onLost()` when the line is gone before its time.
 */
export class Realtime {
  #on;
  #socket;
  #resampler;
  #blocks = [];
  #frames = 0; // in those blocks
  #sentS = 0;
  #turns = new Map();
  #awaited = null; // {type, resolve, reject}
  #isEnding = false;

  constructor(on) {
    this.#on = on;
  }

  /** Connect and agree; rejects with an Error whose message a person can act on. */
  async open(language) {
    const protocols = key() ? ["realtime", `openai-insecure-api-key.${key()}`] : ["realtime"];
    try {
      this.#socket = new WebSocket(location.origin.replace(/^http/, "ws") + PATH, protocols);
    } catch (error) {
      throw new Error("This key has characters that a browser cannot send on a WebSocket.", { cause: error });
    }
    this.#socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(data)));
    this.#socket.addEventListener("close", ({ code }) => this.#closed(code));
    try {
      await this.#comes("session.created");
    } catch (error) {
      throw await whyNot(error);
    }
    const transcription = language ? { model: "whisper-1", language } : { model: "whisper-1" };
    await this.#agree({ type: "transcription", audio: { input: { transcription } } });
  }

  /** Whether the line is there. */
  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** A block of the microphone's, mono floats at `rate` Hz. */
  hear(block, rate) {
    this.#resampler ??= new Resampler(rate, RATE);
    this.#blocks.push(block);
    this.#frames += block.length;
    if (this.#frames >= PIECE_S * rate) this.#sendBlocks();
  }

  /** The open sentence ends here. */
  commit() {
    this.#sendBlocks();
    this.#send({ type: "input_audio_buffer.commit" });
  }

  /** No more will be heard; resolves when the text of all that was heard is there, or the line is gone. */
  async finish() {
    this.#isEnding = true;
    this.commit();
    const tell = (error) => this.#on.onTrouble(error.message);
    if (this.isOpen) await this.#agree({}).catch(tell); // comes after the commit: every turn is known by then
    while (this.#hasOpenTurn() && this.isOpen) await this.#comes(ITEM).catch(tell);
    this.close();
  }

  /** Hang up at once; what is waited for is given up. */
  close() {
    this.#isEnding = true;
    this.#awaited?.resolve();
    this.#socket?.close(1000);
  }

  async #agree(session) {
    this.#send({ type: "session.update", session });
    await this.#comes("session.updated");
  }

  /** The next event whose type begins so; rejects if an error or the end comes first. */
  #comes(type) {
    return new Promise((resolve, reject) => {
      this.#awaited = { type, resolve, reject };
    });
  }

  #sendBlocks() {
    if (!this.#frames) return;
    const samples = this.#resampler.take(joined(this.#blocks));
    this.#blocks = [];
    this.#frames = 0;
    this.#sentS += samples.length / RATE;
    this.#send({ type: "input_audio_buffer.append", audio: base64(pcm16(samples)) });
    if (this.#socket.bufferedAmount < UNSENT_BYTES_MAX) return;
    this.#on.onTrouble("The connection is too slow for live audio.");
    this.#socket.close(1000);
  }

  #send(event) {
    if (this.isOpen) this.#socket.send(JSON.stringify(event));
  }

  #take(event) {
    const awaited = this.#awaited;
    if (event.type === "error" && event.error.code !== NOTHING_TO_COMMIT) {
      this.#awaited = null;
      if (awaited) awaited.reject(new Error(event.error.message));
      else this.#on.onTrouble(event.error.message);
    } else if (awaited && event.type.startsWith(awaited.type)) {
      this.#awaited = null;
      awaited.resolve(event);
    }
    if (event.item_id) this.#follow(event);
  }

  #follow(event) {
    const known = this.#turns.get(event.item_id);
    const turn = known ?? { start: this.#sentS, end: null, text: "", isOpen: true };
    this.#turns.set(event.item_id, turn);
    if (event.type === "input_audio_buffer.speech_started") turn.start = event.audio_start_ms / 1000;
    if (event.type === "input_audio_buffer.speech_stopped") turn.end = event.audio_end_ms / 1000;
    if (event.type === "input_audio_buffer.committed") {
      turn.end ??= this.#sentS;
      turn.committedAt = performance.now();
    }
    if (event.type === `${ITEM}delta`) turn.text += event.delta;
    if (event.type === `${ITEM}completed`) {
      const lateMs = performance.now() - turn.committedAt;
      Object.assign(turn, { text: event.transcript, isOpen: false, lateMs });
    }
    if (event.type === `${ITEM}failed`) {
      turn.isOpen = false;
      this.#on.onTrouble(event.error.message);
    }
    this.#on.onTurns([...this.#turns.values()]);
  }

  #hasOpenTurn() {
    return [...this.#turns.values()].some(({ isOpen }) => isOpen);
  }

  #closed(code) {
    const isExplained = code === 1000 || code === 1001; // after an event that says why
    if (this.#awaited) this.#awaited.reject(new Error(LOST));
    else if (!this.#isEnding && !isExplained) this.#on.onTrouble(LOST);
    this.#awaited = null;
    if (!this.#isEnding) this.#on.onLost();
  }
}

// a browser tells a page nothing about a handshake that failed; the same address asked plainly says why
async function whyNot(error) {
  const answer = await fetch(PATH, { headers: keyHeaders() }).catch(() => null);
  if (!answer) return new Error("The router does not answer.", { cause: error });
  if (answer.status !== 400) return refusal(answer); // 400: it would have let a WebSocket in
  return new Error("The WebSocket did not open. Does something between here and the router not pass it on?", { cause: error });
}

function base64(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)));
}
