// Making elements: text is always text here, never markup.

/** A new element with those properties and children (elements or strings). */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
