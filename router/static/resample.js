// Samples at one rate -> samples at another, as they come. Not every browser does this between microphone and worklet.

const CROSSINGS = 16; // of the filter's wave on each side: more is sharper, and later by 16 samples of the lower rate

/** One stream of mono floats, from `from` Hz to `to` Hz, whole numbers. State: the samples that are still needed. */
export class Resampler {
  #from;
  #to;
  #reach; // samples on each side that a new one is made of
  #filters = new Map(); // by where a new sample lies between two old ones
  #kept;
  #origin; // the place of the first that is kept
  #made = 0;

  constructor(from, to) {
    this.#from = from;
    this.#to = to;
    this.#reach = Math.ceil(CROSSINGS * Math.max(1, from / to));
    this.#kept = new Float32Array(this.#reach); // silence before the first
    this.#origin = -this.#reach;
  }

  /** Another block; the samples that are complete now. */
  take(block) {
    const samples = joined([this.#kept, block]);
    const fresh = [];
    let first;
    for (;;) {
      const place = this.#made * this.#from; // of the next sample, in parts of an old one: exact for days
      const middle = Math.floor(place / this.#to) - this.#origin;
      first = middle - this.#reach + 1;
      if (middle + this.#reach >= samples.length) break;
      fresh.push(dot(this.#filter(place % this.#to), samples, first));
      this.#made++;
    }
    this.#kept = samples.slice(first);
    this.#origin += first;
    return Float32Array.from(fresh);
  }

  #filter(part) {
    let filter = this.#filters.get(part);
    if (!filter) this.#filters.set(part, (filter = this.#newFilter(part / this.#to)));
    return filter;
  }

  // a sinc that lets through what both rates can hold, under a raised cosine; it adds up to 1
  #newFilter(part) {
    const pass = Math.min(1, this.#to / this.#from);
    const weights = Float32Array.from({ length: 2 * this.#reach }, (_, at) => {
      const away = at - this.#reach + 1 - part;
      const angle = Math.PI * away * pass;
      const sinc = angle ? Math.sin(angle) / angle : 1;
      return sinc * (1 + Math.cos((Math.PI * away) / this.#reach));
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }
}

/** Blocks as one. */
export function joined(blocks) {
  const whole = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
}

function dot(weights, samples, from) {
  let sum = 0;
  for (let at = 0; at < weights.length; at++) sum += weights[at] * samples[from + at];
  return sum;
}
