// Create elements. Strings become text nodes and are never parsed as markup.

/** Return a new element with these properties and children (elements or strings). */
export function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}
