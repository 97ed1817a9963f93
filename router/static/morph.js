// Makes one element like another and touches only what differs: focus, selection and scroll position survive.

const OWN = new Set(["hidden", "open"]); // what the page itself decides, by its filter or the reader's hand

/** Make `old` like `fresh`, which belongs to another document and is left there. */
export function morph(old, fresh) {
  morphAttributes(old, fresh);
  const wanted = [...fresh.childNodes];
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
  wanted.forEach((node, at) => morphChild(old, old.childNodes[at], node));
}

function morphChild(parent, old, fresh) {
  if (!old) parent.append(document.importNode(fresh, true));
  else if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) old.replaceWith(document.importNode(fresh, true));
  else if (old.nodeType === Node.ELEMENT_NODE) morph(old, fresh);
  else if (old.data !== fresh.data) old.data = fresh.data;
}

function morphAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!OWN.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!OWN.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}
