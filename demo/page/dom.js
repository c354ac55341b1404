// Create and change elements. Strings become text nodes and are never parsed as markup.

/** Return a new element with these properties and children (elements or strings). */
export function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

/**
 * Call `act` for each click, but not while it runs. A button that is `disabled` would lose the focus.
 */
export function onClick(button, act) {
  button.addEventListener("click", async () => {
    if (button.ariaDisabled) return;
    button.ariaDisabled = "true";
    try {
      await act();
    } finally {
      button.ariaDisabled = null;
    }
  });
}

/** Change the text of an element, unless it is the same: screen readers would say it once more. */
export function setText(shown, text) {
  if (shown.textContent !== text) shown.textContent = text;
}
