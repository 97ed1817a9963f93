// The caller's key: kept for this tab only, sent as a header, never part of an address.

const NAME = "fleet-key";

/** The key as it was last given, or "". */
export function key() {
  return sessionStorage.getItem(NAME) ?? "";
}

/** Remember it until the tab is closed. */
export function remember(given) {
  sessionStorage.setItem(NAME, given.trim());
}

/** Headers for a request; none if no key was given. */
export function keyHeaders() {
  return key() ? { Authorization: `Bearer ${key()}` } : {};
}
