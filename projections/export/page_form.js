/* The form of the check in the page: gives the page's elements and the reader's files to `page_check.js`, and shows its
 * answer.
 *
 * - Answers are put in as text, never as markup.
 * - An answer is about what it was made from: when a file or the fingerprint changes, it is taken away.
 *
 * It follows `page_check.js` in one script, and decides nothing.
 */
(() => {
  function elementsOf(root) {
    return Array.from(root.querySelectorAll("[data-event], [data-place], [data-exact]"), (one) => ({
      version: one.getAttribute("data-event") || "", place: one.getAttribute("data-place") || "",
      exact: one.getAttribute("data-exact"), text: one.textContent, nested: one.children.length > 0,
    }));
  }

  function show(root, { state, title, words }) {
    const place = root.getElementById("check-answer"), heading = root.createElement("h3"), list = root.createElement("ul");
    heading.textContent = title;
    for (const text of words) {
      const item = root.createElement("li");
      item.textContent = text;
      list.append(item);
    }
    place.setAttribute("data-state", state);
    place.replaceChildren(heading, list);
  }

  async function picked(root, name) {
    const file = root.getElementById(`check-${name}`).files[0];
    return file === undefined ? null : new Uint8Array(await file.arrayBuffer());
  }

  /** Check with what the reader picked; a change during a check makes the older answer void. */
  async function checkPicked(root, held, latest) {
    const mine = ++latest.run;
    const [log, checkpoint, genesis] = await Promise.all(["log", "checkpoint", "genesis"].map((name) => picked(root, name)));
    const given = [log, checkpoint, genesis];
    let found = null;
    if (given.some((one) => one === null)) {
      found = { state: "unreadable", title: "Nothing was compared with the log.", words: ["Please choose all three files."] };
    } else {
      const files = { log: new TextDecoder().decode(log), checkpoint, genesis };
      found = await wellkeptCheck.answer(held, elementsOf(root), files, root.getElementById("check-fingerprint").value);
    }
    if (mine === latest.run) show(root, found);
  }

  async function start(root) {
    const latest = { run: 0 }, form = root.getElementById("check-form");
    const held = JSON.parse(root.getElementById("entries").textContent);
    root.getElementById("check").hidden = false;
    root.getElementById("to-check").hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show(root, { state: "working", title: "Checking\u2026", words: [] });
      checkPicked(root, held, latest).catch((error) => {
        show(root, { state: "unreadable", title: "A file could not be read.", words: [error.message] });
      });
    });
    // An answer is about the files it was made from: when one changes, it no longer stands.
    form.addEventListener("input", () => {
      latest.run++;
      show(root, { state: "waiting", title: "Not checked yet.", words: [] });
    });
    const first = await wellkeptCheck.answer(held, elementsOf(root));
    if (latest.run === 0) show(root, first);
  }

  start(document);
})();
