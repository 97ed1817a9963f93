// Keeps the status page current. The router renders it and sends it every second; this takes over what changed.

import { eventsOf } from "./events.js";
import { key, keyHeaders, remember } from "./key.js";
import { morph } from "./morph.js";

const AGAIN_MS = 1000;
const PATIENCE_MS = 5000; // the router sends five times as often

const trouble = document.getElementById("trouble");
const ask = document.getElementById("ask");
let adminKey = ""; // of this page's life only
let silentSince = null;
let filter = "";

document.documentElement.classList.add("live");
document.addEventListener("input", onInput);
document.addEventListener("click", onClick);
document.addEventListener("submit", onSubmit);
watch();

async function watch() {
  if (isLocked() && key()) await refresh();
  for (;;) {
    if (!document.hidden && !isLocked()) await follow();
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

/** Whether the page is the question for a key. */
function isLocked() {
  return Boolean(document.getElementById("unlock"));
}

/** Show what the router sends until it stops, falls silent, or nobody looks. */
async function follow() {
  const stop = new AbortController();
  let patience = setTimeout(() => stop.abort(), PATIENCE_MS);
  const onHidden = () => stop.abort();
  document.addEventListener("visibilitychange", onHidden);
  try {
    const headers = { Accept: "text/event-stream", ...keyHeaders() };
    const answer = await fetch("/lb-status", { headers, cache: "no-store", signal: stop.signal });
    if (!answer.ok) return await refresh();
    for await (const html of eventsOf(answer)) {
      clearTimeout(patience);
      patience = setTimeout(() => stop.abort(), PATIENCE_MS);
      show(html);
    }
  } catch {
    if (!document.hidden) tellSilent();
  } finally {
    clearTimeout(patience);
    document.removeEventListener("visibilitychange", onHidden);
  }
}

/** The page as it is now: after a click, or where no stream is given. */
async function refresh() {
  try {
    const headers = { Accept: "text/html", ...keyHeaders() };
    const answer = await fetch("/lb-status", { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === 401 && isLocked()) return; // the question is on the page already
    show(await answer.text());
  } catch {
    tellSilent();
  }
}

function tellSilent() {
  silentSince ??= new Date();
  tell(`The router has not answered since ${silentSince.toLocaleTimeString()}. What you see is from then; still trying.`);
}

function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html"); // scripts in it never run; the router escapes all text
  morph(document.getElementById("stamp"), fresh.getElementById("stamp"));
  morph(document.getElementById("live"), fresh.getElementById("live"));
  applyFilter();
  if (silentSince) trouble.hidden = true;
  silentSince = null;
}

function onInput(event) {
  if (event.target.id !== "filter") return;
  filter = event.target.value.trim().toLowerCase();
  applyFilter();
}

function applyFilter() {
  for (const row of document.querySelectorAll("tr[data-worker]")) {
    const [about, state] = row.cells;
    row.hidden = !`${about.textContent} ${state.textContent}`.toLowerCase().includes(filter);
  }
}

function onSubmit(event) {
  if (event.target.id !== "unlock") return;
  event.preventDefault();
  remember(event.target.elements.key.value);
  refreshUnlocked();
}

async function refreshUnlocked() {
  await refresh();
  if (isLocked()) tell("That key was not accepted.");
  else trouble.hidden = true;
}

function onClick(event) {
  if (event.target.value === "cancel") ask.close("cancel");
  const { verb } = event.target.dataset ?? {};
  if (event.detail > 1) return; // the second of a double click would take back the first, or hit another worker
  if (verb) carryOut(verb, event.target.closest("tr").dataset.worker);
}

async function carryOut(verb, worker) {
  if (!adminKey && !(await askForKey(`To ${verb} ${worker}, give the admin key.`))) return;
  const path = `/admin/workers/${encodeURIComponent(worker)}/${verb}`;
  try {
    const answer = await fetch(path, { method: "POST", headers: { Authorization: `Bearer ${adminKey}` } });
    if (!answer.ok) {
      adminKey = "";
      tell(`Could not ${verb} ${worker}: ${(await answer.json()).error.message}`);
      return;
    }
    trouble.hidden = true;
    await refresh();
  } catch {
    tell(`${worker}: the router did not answer.`);
  }
}

function askForKey(question) {
  document.getElementById("question").textContent = question;
  const form = ask.querySelector("form");
  form.reset();
  ask.returnValue = "";
  ask.showModal();
  return new Promise((decided) => {
    ask.addEventListener(
      "close",
      () => {
        adminKey = ask.returnValue === "ok" ? form.elements.key.value.trim() : "";
        decided(Boolean(adminKey));
      },
      { once: true },
    );
  });
}

function tell(message) {
  trouble.textContent = message;
  trouble.hidden = false;
}
