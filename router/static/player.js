// The clip being heard: audio element, waveform and segments, kept together.

import { clock } from "./subtitles.js";
import { Waveform } from "./waveform.js";

/** Plays a clip; pressing a segment plays it, and what is being said is lit. */
export class Player {
  #audio;
  #list;
  #wave;
  #rows = []; // {segment, button, words: [{word, span}]}
  #stopAt = Infinity;

  constructor({ audio, canvas, list }) {
    this.#audio = audio;
    this.#list = list;
    this.#wave = new Waveform(canvas, (seconds) => this.#play(seconds));
    audio.addEventListener("play", () => this.#follow());
    audio.addEventListener("error", () => audio.src && (audio.hidden = true)); // what the browser cannot play
    for (const kind of ["seeked", "pause"]) audio.addEventListener(kind, () => this.#light());
  }

  /** No clip, and nothing to play it with. */
  clear() {
    this.segments = [];
    this.#wave.clear();
    if (this.#audio.src) URL.revokeObjectURL(this.#audio.src);
    this.#audio.removeAttribute("src");
    this.#audio.hidden = true;
  }

  /** Another clip, without segments so far. */
  async load(file) {
    this.clear();
    this.#audio.src = URL.createObjectURL(file);
    this.#audio.hidden = false;
    await this.#wave.load(file);
  }

  /** Segments of verbose_json, with their words where there are any; `isOpen` where more text may come. */
  set segments(segments) {
    this.#rows = segments.map((segment) => this.#row(segment));
    this.#list.replaceChildren(...this.#rows.map(({ item }) => item));
    this.#wave.segments = segments;
  }

  #row(segment) {
    const [item, button, time, said] = ["li", "button", "time", "span"].map((name) => document.createElement(name));
    button.type = "button";
    time.textContent = clock(segment.start).slice(3, -2);
    const words = (segment.words ?? []).map((word) => ({ word, span: spanOf(word.word.trim()) }));
    const pieces = words.flatMap(({ word, span }, at) => (at && word.word.startsWith(" ") ? [" ", span] : [span]));
    said.append(...(pieces.length ? pieces : [segment.text.trim()]));
    button.append(time, said);
    button.addEventListener("click", () => this.#play(segment.start, segment.end));
    item.append(button);
    item.classList.toggle("open", Boolean(segment.isOpen));
    return { segment, item, button, words };
  }

  #play(fromS, toS = Infinity) {
    this.#stopAt = toS;
    this.#audio.currentTime = fromS;
    this.#audio.play().catch(() => {}); // a format that the browser cannot play: no player is shown
  }

  #follow() {
    this.#light();
    if (this.#audio.currentTime >= this.#stopAt) {
      this.#stopAt = Infinity;
      this.#audio.pause();
    }
    if (!this.#audio.paused) requestAnimationFrame(() => this.#follow());
  }

  #light() {
    const now = this.#audio.currentTime;
    this.#wave.position = now;
    for (const { segment, button, words } of this.#rows) {
      const isNow = now > 0 && segment.start <= now && now < segment.end;
      button.setAttribute("aria-current", String(isNow));
      for (const { word, span } of words) span.classList.toggle("said", isNow && word.start <= now && now < word.end);
    }
  }
}

function spanOf(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span;
}
