// Loads packages of node_modules that need a bundler, such as the Amazon IVS player, into a page.

const ROOT = new URL("/npm/", location.href).href;
const loaded = new Map();

/** What the module exports: a package, such as `bowser` or `lodash/mergeWith`, or an address. */
export function load(name, from = ROOT) {
  const address = /^[./]/.test(name) ? new URL(name, from).href : ROOT + name;
  const file = [address, `${address}.js`, mainOf(address)].find(exists);
  if (!file) throw new Error(`There is no module ${name}.`);
  if (!loaded.has(file)) {
    const module = { exports: {} };
    loaded.set(file, module);
    const run = new Function("module", "exports", "require", `${text(file)}\n//# sourceURL=${file}`);
    run(module, module.exports, (inner) => load(inner, file));
  }
  return loaded.get(file).exports;
}

const mainOf = (address) => {
  const description = text(`${address}/package.json`);
  const main = description ? (JSON.parse(description).main ?? "index.js") : "index.js";
  return new URL(main, `${address}/`).href;
};
const exists = (address) => address.endsWith(".js") && text(address) !== null;

function text(address) {
  const request = new XMLHttpRequest();
  request.open("GET", address, false);
  request.send();
  return request.status === 200 ? request.responseText : null;
}
