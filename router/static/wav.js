// PCM in a RIFF header: the one format that every decoder reads the same way.

const HEADER_BYTES = 44;

/** Blocks of mono floats (-1..1) at `rate` Hz as a 16-bit WAV file. */
export function wav(blocks, rate) {
  const frames = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * frames));
  writeHeader(view, frames, rate);
  let at = HEADER_BYTES;
  for (const block of blocks) at = writePcm16(view, at, block);
  return view.buffer;
}

/** Mono floats (-1..1) as 16-bit PCM, without a header. */
export function pcm16(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  writePcm16(view, 0, samples);
  return view.buffer;
}

function writePcm16(view, at, samples) {
  samples.forEach((sample, index) => view.setInt16(at + 2 * index, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true));
  return at + 2 * samples.length;
}

function writeHeader(view, frames, rate) {
  writeText(view, 0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + 2 * frames, true);
  writeText(view, 8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of this part
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true); // bytes a second
  view.setUint16(32, 2, true); // bytes a frame
  view.setUint16(34, 16, true); // bits a sample
  writeText(view, 36, "data");
  view.setUint32(40, 2 * frames, true);
}

function writeText(view, at, text) {
  [...text].forEach((letter, offset) => view.setUint8(at + offset, letter.charCodeAt(0)));
}
