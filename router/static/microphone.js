// The microphone's buttons: record a clip, or see the text while speaking.

import { Realtime } from "./realtime.js";
import { Recorder } from "./recorder.js";

/**
 * `controls` are the buttons record, live and commit, the meter level, and the panel to show while it is open. `on` is
 * asked for the language() and hears what becomes of it: onClip(file) of a recording; of live audio onBegin(),
 * onTurns(turns) each time one changes, onWait() when only text is still to come, and onEnd(file, seconds, turns);
 * onTrouble(message, status) whenever.
 */
export class Microphone {
  #controls;
  #on;
  #recorder = null;
  #button = null; // that ends what goes on, and what it says while nothing does
  #label = "";
  #session = null;
  #turns = [];

  constructor(controls, on) {
    this.#controls = controls;
    this.#on = on;
    controls.record.addEventListener("click", () => (this.#recorder ? this.#stopRecording() : this.#record()));
    controls.live.addEventListener("click", () => (this.#recorder ? this.#stopLive() : this.#goLive()));
    controls.commit.addEventListener("click", () => this.#session.commit());
  }

  /** Whether it is open, or text of what it heard is still to come. */
  get isBusy() {
    return Boolean(this.#button);
  }

  /** Wait no longer for the last text. */
  cancel() {
    this.#session?.close();
  }

  async #record() {
    this.#occupy(this.#controls.record);
    await this.#listen(() => {}, () => this.#stopRecording()).catch((error) => this.#fail(error));
  }

  async #stopRecording() {
    const { file } = await this.#deafen();
    this.#release();
    this.#on.onClip(file);
  }

  async #goLive() {
    this.#occupy(this.#controls.live);
    this.#turns = [];
    const session = (this.#session = new Realtime({
      onTurns: (turns) => this.#on.onTurns((this.#turns = turns)),
      onTrouble: (message) => this.#on.onTrouble(message),
      onLost: () => this.#recorder && this.#stopLive(),
    }));
    try {
      await session.open(this.#on.language());
      await this.#listen((block, rate) => session.hear(block, rate), () => this.#stopLive());
      if (!session.isOpen) throw new Error("The session ended before the microphone was there. Press Live again.");
    } catch (error) {
      if (this.#recorder) await this.#deafen();
      session.close();
      return this.#fail(error);
    }
    this.#controls.commit.hidden = false;
    this.#on.onBegin();
  }

  async #stopLive() {
    this.#controls.commit.hidden = true;
    this.#on.onWait();
    const { file, seconds } = await this.#deafen();
    await this.#session.finish();
    this.#release();
    this.#on.onEnd(file, seconds, this.#turns);
  }

  /** Open the microphone; rejects as Recorder does. */
  async #listen(onBlock, onFull) {
    const recorder = new Recorder({
      onBlock: (block, rate) => {
        onBlock(block, rate);
        if (this.#recorder) this.#show(block);
      },
      onFull: () => this.#recorder && onFull(),
    });
    await recorder.start();
    this.#recorder = recorder;
    this.#button.disabled = false;
    this.#controls.panel.hidden = false;
    this.#controls.level.value = 0;
  }

  async #deafen() {
    const recorder = this.#recorder;
    this.#recorder = null;
    this.#button.disabled = true;
    this.#controls.panel.hidden = true;
    return { file: await recorder.stop(), seconds: recorder.seconds };
  }

  #show(block) {
    const peak = block.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const { level } = this.#controls;
    level.value = Math.max(peak, level.value * 0.98); // falls slowly, so that an eye can follow: by half in 0.1 s
    const label = `Stop (${Math.floor(this.#recorder.seconds)} s)`;
    if (this.#button.textContent !== label) this.#button.textContent = label;
  }

  #occupy(button) {
    this.#button = button;
    this.#label = button.textContent;
    this.#controls.record.disabled = this.#controls.live.disabled = true;
  }

  #release() {
    this.#button.textContent = this.#label;
    this.#button = null;
    this.#controls.record.disabled = this.#controls.live.disabled = false;
  }

  #fail(error) {
    this.#release();
    this.#on.onTrouble(error.message, error.status);
  }
}
