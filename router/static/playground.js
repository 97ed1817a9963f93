// The playground: a clip in, its transcript out, with everything that the API gives.

import { key, remember } from "./key.js";
import { Microphone } from "./microphone.js";
import { Player } from "./player.js";
import * as snippets from "./snippets.js";
import { canWrite, written } from "./subtitles.js";
import { lasting, transcribe } from "./transcribe.js";

const $ = (id) => document.getElementById(id);
const player = new Player({ audio: $("player"), canvas: $("wave"), list: $("segments") });
const state = { file: null, before: "", answer: null, running: null, isLive: false };
const microphone = new Microphone(
  { record: $("record"), live: $("live"), commit: $("commit"), level: $("level"), panel: $("listening") },
  {
    language: () => $("language").value.trim(),
    onClip: (file) => run(file, snippets.RECORDED),
    onBegin: beginLive,
    onTurns: showTurns,
    onWait: awaitLastWords,
    onEnd: endLive,
    onTrouble: (message, status) => showFailure({ message, status }),
  },
);

$("key").value = key();
$("file").addEventListener("change", onChoice);
for (const button of [$("record"), $("live")]) button.addEventListener("click", () => ($("trouble").hidden = true));
$("sample").addEventListener("click", runSample);
$("again").addEventListener("click", () => run(state.file, state.before));
$("cancel").addEventListener("click", () => (state.running ? state.running.abort() : microphone.cancel()));
$("options").addEventListener("submit", (event) => event.preventDefault());
$("options").addEventListener("input", onOption); // "change" comes too late for who types a key, then drops a file
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

/** Send a clip; `before` is a line for the snippets where it is no file of the reader's. */
async function run(file, before = "") {
  if (microphone.isBusy) return tell("Stop the microphone first.");
  state.running?.abort();
  const running = new AbortController();
  Object.assign(state, { file, before, answer: null, running, isLive: false });
  const stream = $("stream").checked;
  clear(`Transcribing ${file.name} …`);
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
      $("again").hidden = false;
      state.running = null;
    }
  }
}

async function runSample() {
  const answer = await fetch("/static/sample.wav").catch(() => null);
  if (!answer?.ok) return tell("The router does not answer.");
  return run(new File([await answer.blob()], "sample.wav", { type: "audio/wav" }), `curl -sO ${answer.url}`);
}

function clear(progress) {
  $("result").hidden = false;
  $("trouble").hidden = true;
  $("exports").hidden = true;
  $("cancel").hidden = false;
  $("again").hidden = true;
  $("text").replaceChildren();
  $("facts").replaceChildren();
  $("progress").textContent = progress;
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
  if (!state.isLive) $("progress").textContent = "";
  if (error.name === "AbortError") return tell("Cancelled.");
  if (error.status === 401) $("keyfield").hidden = false;
  if (error.code?.startsWith("audio_")) return tell(`${state.file.name}: ${withoutQuotes(error.message)}`);
  return tell(error instanceof TypeError ? "The router does not answer." : error.message);
}

/** OpenAI's sentence lists formats as Python does; nobody here has to read Python. */
function withoutQuotes(message) {
  return message.replace(/\[('[^\]]*')\]/, (_, list) => list.replaceAll("'", ""));
}

// live: the text while somebody speaks, then what was said as a clip like any other

function beginLive() {
  state.running?.abort();
  Object.assign(state, { file: null, before: snippets.RECORDED, answer: null, running: null, isLive: true });
  clear("Live: speak, the text follows.");
  $("cancel").hidden = true;
  player.clear();
}

function showTurns(turns) {
  const said = turns.filter(({ text, isOpen }) => text || isOpen);
  const isNew = said.length !== $("segments").childElementCount;
  player.segments = said;
  if (isNew) $("segments").lastElementChild?.scrollIntoView({ block: "nearest" });
  const last = said.findLast(({ isOpen }) => !isOpen)?.text ?? "";
  if ($("spoken").textContent !== last) $("spoken").textContent = last;
}

function awaitLastWords() {
  $("progress").textContent = "Waiting for the last words …";
  $("cancel").hidden = false;
}

async function endLive(file, seconds, turns) {
  const segments = turns.filter(({ text }) => text).map(({ start, end, text }, id) => ({ id, start, end: end ?? seconds, text }));
  const lateMs = turns.map((turn) => turn.lateMs).filter(Number.isFinite).sort((a, b) => a - b);
  state.file = file;
  $("cancel").hidden = true;
  $("again").hidden = false;
  await player.load(file);
  const text = segments.map((segment) => segment.text).join(" ");
  const late = lateMs.length ? `${lasting(lateMs[lateMs.length >> 1])} after a pause` : null;
  showAnswer({ task: "transcribe", duration: seconds, text, segments }, { "Final text": late });
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
    before: state.before,
    name: state.file?.name ?? "clip.wav",
    language: $("language").value.trim(),
    stream: $("stream").checked,
    hasKey: Boolean(key()),
  };
  $("curl").textContent = state.isLive ? snippets.liveCommand : snippets.curl(options);
  $("python").textContent = state.isLive ? snippets.livePython(options) : snippets.python(options);
}

function onChoice() {
  const [file] = $("file").files;
  $("file").value = ""; // or choosing the same file again would be no change
  if (file) run(file);
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
