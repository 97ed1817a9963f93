// Runs on the audio thread: hands every block of the microphone's first channel to the page.

class Tap extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) this.port.postMessage(channels[0].slice());
    return true;
  }
}

registerProcessor("tap", Tap);
