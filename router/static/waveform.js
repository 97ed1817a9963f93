// Draws a clip: its peaks, its segments as a strip below, and where the player is.

const STRIP = 10; // pixels at the foot, for the segments
const DECODED_BYTES_MAX = 50e6; // decoding takes ten times the size of a compressed file

/** A canvas that shows a clip; `onSeek(seconds)` is called where it is clicked. */
export class Waveform {
  #canvas;
  #peaks = [];
  #durationS = 0;
  #segments = [];
  #atS = 0;

  constructor(canvas, onSeek) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    canvas.addEventListener("click", (event) => {
      if (this.#durationS) onSeek((event.offsetX / canvas.clientWidth) * this.#durationS);
    });
  }

  /** Nothing to show. */
  clear() {
    this.#peaks = [];
    this.#segments = [];
    this.#durationS = this.#atS = 0;
    this.#canvas.hidden = true;
  }

  /** Show another clip. Resolves to whether it could be drawn; the browser may not know the format. */
  async load(file) {
    this.clear();
    this.#canvas.hidden = false;
    try {
      if (file.size > DECODED_BYTES_MAX) throw new Error("too large to decode here");
      const decoded = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await file.arrayBuffer());
      this.#durationS = decoded.duration;
      this.#peaks = peaksOf(decoded.getChannelData(0), 2000);
    } catch {
      this.#canvas.hidden = true;
    }
    this.#draw();
    return !this.#canvas.hidden;
  }

  /** Stretches of speech, [{start, end}] in seconds. */
  set segments(segments) {
    this.#segments = segments;
    this.#draw();
  }

  /** Where the player is, in seconds. */
  set position(seconds) {
    this.#atS = seconds;
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = window.devicePixelRatio;
    this.#canvas.width = width * ratio;
    this.#canvas.height = height * ratio;
    if (!this.#durationS) return;
    const pen = this.#canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.#canvas);
    const probe = (name) => colour(this.#canvas, style.getPropertyValue(name));
    this.#drawPeaks(pen, width, height - STRIP, probe("--accent"), probe("--quiet"));
    this.#drawSegments(pen, width, height, probe("--accent"), probe("--quiet"));
  }

  #drawPeaks(pen, width, height, played, ahead) {
    const middle = height / 2;
    const now = (this.#atS / this.#durationS) * width;
    for (let x = 0; x < width; x += 3) {
      const peak = this.#peaks[Math.floor((x / width) * this.#peaks.length)] ?? 0;
      const tall = Math.max(1, peak * (middle - 2));
      pen.fillStyle = x < now ? played : ahead;
      pen.fillRect(x, middle - tall, 2, 2 * tall);
    }
  }

  #drawSegments(pen, width, height, lit, dim) {
    for (const { start, end } of this.#segments) {
      const from = (start / this.#durationS) * width;
      const isNow = start <= this.#atS && this.#atS < end && this.#atS > 0;
      pen.fillStyle = isNow ? lit : dim;
      pen.fillRect(from, height - (isNow ? 8 : 5), Math.max(2, ((end - start) / this.#durationS) * width - 2), isNow ? 7 : 4);
    }
  }
}

function peaksOf(samples, count) {
  const step = Math.max(1, Math.floor(samples.length / count));
  const peaks = [];
  for (let from = 0; from < samples.length; from += step) {
    let peak = 0;
    for (let at = from; at < Math.min(from + step, samples.length); at++) peak = Math.max(peak, Math.abs(samples[at]));
    peaks.push(peak);
  }
  const top = peaks.reduce((most, peak) => Math.max(most, peak), 1e-6);
  return peaks.map((peak) => peak / top);
}

// a custom property may hold light-dark(...), which a canvas does not read: let the browser work it out
function colour(canvas, value) {
  canvas.style.color = value;
  return getComputedStyle(canvas).color;
}
