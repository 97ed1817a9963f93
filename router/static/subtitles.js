// The transcript as a file. The same forms that the server writes, from segments that are already here.

const WRITERS = {
  txt: (answer) => `${answer.text}\n`,
  json: (answer) => `${JSON.stringify(answer, null, 2)}\n`,
  srt: ({ segments }) => segments.map((segment, at) => `${at + 1}\n${cue(segment, ",")}\n${oneLine(segment)}\n\n`).join(""),
  vtt: ({ segments }) => `WEBVTT\n\n${segments.map((segment) => `${cue(segment, ".")}\n${escaped(oneLine(segment))}\n\n`).join("")}`,
};

/** Whether this answer can be written as `format`: subtitles need segments. */
export function canWrite(answer, format) {
  return Boolean(answer.segments) || format === "txt" || format === "json";
}

/** The file's text. */
export function written(answer, format) {
  return WRITERS[format](answer);
}

/** HH:MM:SS and milliseconds, rounded once. */
export function clock(seconds, point = ".") {
  const ms = Math.round(seconds * 1000);
  const pad = (value, digits = 2) => String(Math.floor(value)).padStart(digits, "0");
  return `${pad(ms / 3_600_000)}:${pad((ms / 60_000) % 60)}:${pad((ms / 1000) % 60)}${point}${pad(ms % 1000, 3)}`;
}

function cue({ start, end }, point) {
  return `${clock(start, point)} --> ${clock(end, point)}`;
}

function oneLine({ text }) {
  return text.trim().replace(/\s+/g, " ").replaceAll("-->", "->");
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
