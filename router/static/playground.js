// The playground: a clip in, its transcript out, with everything that the API gives.

import { key, remember } from "./key.js";
import { Player } from "./player.js";
import { Recorder } from "./recorder.js";
import * as snippets from "./snippets.js";
import { canWrite, written } from "./subtitles.js";
import { Refused, transcribe } from "./transcribe.js";

const $ = (id) => document.getElementById(id);
const player = new Player({ audio: $("player"), canvas: $("wave"), list: $("segments") });
const state = { file: null, answer: null, running: null, recorder: null };

$("key").value = key();
$("file").addEventListener("change", () => $("file").files[0] && run($("file").files[0]));
$("record").addEventListener("click", () => (state.recorder ? stopRecording() : startRecording()));
$("cancel").addEventListener("click", () => state.running?.abort());
$("options").addEventListener("submit", (event) => event.preventDefault());
$("options").addEventListener("change", onOption);
$("exports").addEventListener("click", (event) => event.target.dataset.format && save(event.target.dataset.format));
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, onDrag);
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => $("drop").classList.remove("over"));
document.addEventListener("drop", onDrop);
showSnippets();
showFleet();

async function showFleet() {
  const health = await fetch("/health").then((answer) => answer.json()).catch(() => null);
  if (!health) return tell("The router does not answer.");
  $("fleet").textContent = `${health.models.join(", ") || "no model yet"}, ${health.ready} of ${health.workers} workers ready`;
  $("note").hidden = !health.note;
  $("note").textContent = health.note && `This model hears ${health.note}`;
  const models = await fetch("/v1/models").catch(() => null);
  $("keyfield").hidden = models?.status !== 401;
}

async function run(file) {
  state.running?.abort();
  const running = new AbortController();
  Object.assign(state, { file, answer: null, running });
  const stream = $("stream").checked;
  clear(file);
  const onDelta = (delta) => $("text").append(delta);
  try {
    const options = { language: $("language").value.trim(), stream, signal: running.signal, onDelta };
    const [{ answer, facts }] = await Promise.all([transcribe(file, options), player.load(file)]);
    if (state.running === running) showAnswer(answer, facts);
  } catch (error) {
    if (state.running === running) showFailure(error);
  } finally {
    if (state.running === running) {
      $("cancel").hidden = true;
      state.running = null;
    }
  }
}

function clear(file) {
  $("result").hidden = false;
  $("trouble").hidden = true;
  $("exports").hidden = true;
  $("cancel").hidden = false;
  $("text").replaceChildren();
  $("facts").replaceChildren();
  $("progress").textContent = `Transcribing ${file.name} …`;
  showSnippets();
}

function showAnswer(answer, facts) {
  state.answer = answer;
  $("progress").textContent = state.file.name;
  player.segments = answer.segments ?? [];
  $("text").textContent = answer.segments?.length ? "" : answer.text || "No speech was heard.";
  const heard = answer.language && { Language: `${answer.language} (${Math.round(100 * answer.language_probability)} %)` };
  const lasts = answer.duration && { Duration: `${answer.duration.toFixed(1)} s` };
  showFacts({ ...heard, ...lasts, ...facts });
  $("exports").hidden = false;
  for (const button of $("exports").querySelectorAll("button")) button.disabled = !canWrite(answer, button.dataset.format);
}

function showFacts(facts) {
  const entries = Object.entries(facts).filter(([, value]) => value !== null);
  $("facts").replaceChildren(
    ...entries.map(([name, value]) => {
      const entry = document.createElement("div");
      entry.append(textIn("dt", name), textIn("dd", value));
      return entry;
    }),
  );
}

function showFailure(error) {
  $("progress").textContent = "";
  if (error.name === "AbortError") return tell("Cancelled.");
  if (error instanceof Refused && error.status === 401) $("keyfield").hidden = false;
  return tell(error instanceof TypeError ? "The router does not answer." : error.message);
}

async function startRecording() {
  $("trouble").hidden = true;
  $("record").disabled = true;
  const recorder = new Recorder({ onLevel: showLevel, onFull: stopRecording });
  try {
    await recorder.start();
    state.recorder = recorder;
    $("level").hidden = false;
    showLevel(0);
  } catch (error) {
    tell(error.message);
  } finally {
    $("record").disabled = false;
  }
}

async function stopRecording() {
  const { recorder } = state;
  if (!recorder) return;
  state.recorder = null;
  $("level").hidden = true;
  $("record").textContent = "Record";
  await run(await recorder.stop());
}

function showLevel(peak) {
  if (!state.recorder) return;
  $("level").value = Math.max(peak, $("level").value * 0.95); // falls slowly, so that an eye can follow
  const label = `Stop (${Math.floor(state.recorder.seconds)} s)`;
  if ($("record").textContent !== label) $("record").textContent = label;
}

function save(format) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([written(state.answer, format)], { type: "text/plain" }));
  link.download = `${state.file.name.replace(/\.[^.]*$/, "")}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function showSnippets() {
  const options = {
    origin: location.origin,
    name: state.file?.name ?? "clip.wav",
    language: $("language").value.trim(),
    stream: $("stream").checked,
    hasKey: Boolean(key()),
  };
  $("curl").textContent = snippets.curl(options);
  $("python").textContent = snippets.python(options);
}

function onOption() {
  remember($("key").value);
  showSnippets();
}

function onDrag(event) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  $("drop").classList.add("over");
}

function onDrop(event) {
  event.preventDefault();
  if (event.dataTransfer.files[0]) run(event.dataTransfer.files[0]);
}

function tell(message) {
  $("trouble").textContent = message;
  $("trouble").hidden = false;
}

function textIn(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
