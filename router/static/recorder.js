// Records the microphone as it is (no processing meant for phone calls) and gives a WAV file.

import { wav } from "./wav.js";

const LONGEST_S = 600; // 10 minutes of mono floats are 115 MB; longer recordings belong in a file
const SOUNDS_WITHIN_MS = 5000; // from the microphone's permission; half a second is usual

const EXPLAINED = {
  NotAllowedError: "The browser did not give this page the microphone. Allow it in the address bar, then try again.",
  NotFoundError: "No microphone was found. Plug one in, or choose a file.",
  OverconstrainedError: "No microphone was found. Plug one in, or choose a file.", // WebKit's word for it
  NotReadableError: "The microphone is in use by another program, or the system does not let the browser have it.",
  TimeoutError: "The browser's audio did not start. Firefox hears nothing without speakers or headphones: connect some, then try again.",
};

/**
 * One recording; `onBlock(samples, rate)` is called for each block of some milliseconds, floats at `rate` Hz, and
 * `onFull()` at ten minutes.
 */
export class Recorder {
  #blocks = [];
  #frames = 0;
  #onBlock;
  #onFull;
  #onFirst;
  #context;
  #stream;

  constructor({ onBlock, onFull }) {
    this.#onBlock = onBlock;
    this.#onFull = onFull;
  }

  /** Ask for the microphone; resolves when it sounds, rejects with an Error whose message a person can act on. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers give the microphone only to pages from https:// or from this machine (http://localhost).");
    }
    try {
      const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
      this.#context = new AudioContext(); // Safari lets it run because the microphone is open: not before
      await Promise.all([this.#tap(), this.#firstBlock()]);
    } catch (error) {
      await this.#release();
      throw new Error(EXPLAINED[error.name] ?? `The microphone could not be opened (${error.name}).`, { cause: error });
    }
  }

  /** Seconds recorded so far. */
  get seconds() {
    return this.#context ? this.#frames / this.#context.sampleRate : 0;
  }

  /** End it; the recording as a WAV file. */
  async stop() {
    const rate = this.#context.sampleRate;
    await this.#release();
    return new File([wav(this.#blocks, rate)], "recording.wav", { type: "audio/wav" });
  }

  async #tap() {
    await this.#context.audioWorklet.addModule("/static/recorder-worklet.js");
    const tap = new AudioWorkletNode(this.#context, "tap", { numberOfOutputs: 0 });
    tap.port.onmessage = ({ data }) => this.#take(data);
    this.#context.createMediaStreamSource(this.#stream).connect(tap);
  }

  // a context that cannot play stays suspended, without an error or an event
  #firstBlock() {
    return new Promise((resolve, reject) => {
      this.#onFirst = resolve;
      setTimeout(() => reject(new DOMException("no block came", "TimeoutError")), SOUNDS_WITHIN_MS);
    });
  }

  #take(block) {
    this.#onFirst();
    this.#blocks.push(block);
    this.#frames += block.length;
    this.#onBlock(block, this.#context.sampleRate);
    if (this.seconds >= LONGEST_S) this.#onFull();
  }

  async #release() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    if (this.#context && this.#context.state !== "closed") await this.#context.close();
  }
}
