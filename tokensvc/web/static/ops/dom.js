// Elements. Texts become text nodes and are never parsed as markup.

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {...(Node | string)} children
 */
export function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

/** @template {HTMLElement} Kind @param {string} id @param {new () => Kind} kind @returns {Kind} */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${id}.`);
  return found;
}

/**
 * Change the text only if it differs: so a selection in it stays, and nothing is announced twice.
 * @param {Element} of
 * @param {string} text
 */
export function setText(of, text) {
  if (of.textContent !== text) of.textContent = text;
}

const LONG = ["ARN", "Channel", "ID", "Request ID", "Rule"]; // Columns whose words may be broken.

/** A table that is filled again and again. On a narrow screen each row is a block with labels. */
export class Table {
  #body = element("tbody");
  #columns;
  #none;
  #table;

  /**
   * @param {string} caption
   * @param {string[]} columns
   * @param {string} [none] The text without rows.
   */
  constructor(caption, columns, none = "none.") {
    this.#columns = columns;
    const headers = columns.map((column) =>
      element("th", { scope: "col", role: "columnheader" }, column),
    );
    this.#table = element(
      "table",
      // Roles, because the narrow form has no table layout, and some browsers then have no table.
      { role: "table" },
      element("caption", {}, caption),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...headers)),
      this.#body,
    );
    this.#body.role = "rowgroup";
    this.#none = element("p", { className: "none" }, `${caption}: ${none}`);
    this.element = element("div", { className: "table" }, this.#table, this.#none);
    this.fill([]);
  }

  /** @param {string[][]} rows The texts of the cells; the first cell is the header of its row. */
  fill(rows) {
    this.#table.hidden = rows.length === 0;
    this.#none.hidden = rows.length > 0;
    while (this.#body.rows.length > rows.length) this.#body.deleteRow(-1);
    while (this.#body.rows.length < rows.length) this.#body.append(this.#newRow());
    rows.forEach((texts, at) => {
      const cells = this.#body.rows[at]?.cells ?? [];
      texts.forEach((text, column) => {
        const cell = cells[column];
        if (cell) setText(cell, text);
      });
    });
  }

  #newRow() {
    const cells = this.#columns.map((column, at) => {
      const cell =
        at === 0
          ? element("th", { scope: "row", role: "rowheader" })
          : element("td", { role: "cell" });
      cell.dataset.label = column;
      cell.classList.toggle("long", LONG.includes(column));
      return cell;
    });
    return element("tr", { role: "row" }, ...cells);
  }
}
