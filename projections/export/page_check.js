"use strict";
/* Checks, in the reader's browser, that what the page says is what the log of the clinic binds.
 *
 * Source: decision 48; RFC 6962; C2SP signed-note and tlog-checkpoint; RFC 8032. `projections/export/page.py` says what
 * an element of the page holds.
 *
 * - What is compared is taken from the page's own elements, never from a second copy.
 * - Every step throws where it finds a difference, and the answer is made after the last one: nothing succeeds early.
 * - Without the fingerprint of the clinic's papers nothing is said to be the clinic's: anyone can make a log.
 * - It neither fetches nor stores anything, and knows no page: `page_form.js` gives it the page's elements.
 *
 * It does not check the epochs' keys, post-quantum signatures, whether events were kept back, or who looked: verify.py
 * does. Words that are not of the record (headings, summaries, a date told in the clinic's zone) are compared by nobody.
 */
const wellkeptCheck = (() => {
  const ENTRY_BYTES = 157, HASH = 32, EVENT = 1, EPOCH = 5, MAX_NOTE_BYTES = 1000000, MAX_SIGNATURES = 100;
  const UNSHOWABLE = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]/g;
  const utf8 = new TextEncoder();

  /** A difference between what is there and what should be; names the entry and place where there is one. */
  class Difference extends Error {
    constructor(text, version = null, place = null) {
      const where = version === null ? "" : ` (entry ${version}${place === null ? "" : `, ${place}`})`;
      super(text + where);
      this.version = version;
      this.place = place;
    }
  }

  /** A file that the reader picked is not what it should be, or was not picked. */
  class BadFile extends Error {}

  /** The browser lacks what a step needs. */
  class Unsupported extends Error {}

  // --- bytes

  function joined(...parts) {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  function number(value, count) {
    const bytes = new Uint8Array(count);
    for (let at = count - 1, rest = value; at >= 0; at--, rest = Math.floor(rest / 256)) bytes[at] = rest % 256;
    return bytes;
  }

  const hex = (bytes) => Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
  const same = (left, right) => hex(left) === hex(right);
  const prefixed = (bytes) => joined(number(bytes.length, 2), bytes);

  function fromHex(text) {
    if (typeof text !== "string" || !/^([0-9a-f]{2})*$/.test(text)) throw new BadFile("A number that cannot be read.");
    return Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
  }

  /** Decode standard base64 in its one canonical form. */
  function fromBase64(text) {
    if (typeof text !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4) {
      throw new BadFile("Base64 that cannot be read.");
    }
    const raw = atob(text);
    if (btoa(raw) !== text) throw new BadFile("Base64 that is not canonical.");
    return Uint8Array.from(raw, (one) => one.charCodeAt(0));
  }

  /** Reads bytes from left to right; nothing may be left over. */
  class Reader {
    constructor(bytes, what) {
      this.bytes = bytes;
      this.at = 0;
      this.what = what;
    }

    take(count) {
      if (this.at + count > this.bytes.length) throw new BadFile(`${this.what} is cut short.`);
      this.at += count;
      return this.bytes.subarray(this.at - count, this.at);
    }

    number(count) {
      return this.take(count).reduce((value, one) => value * 256 + one, 0);
    }

    exactly(count) {
      if (this.number(2) !== count) throw new BadFile(`${this.what} has a part of wrong length.`);
      return this.take(count);
    }

    end() {
      if (this.at !== this.bytes.length) throw new BadFile(`${this.what} has bytes left over.`);
    }
  }

  // --- hashes and trees (RFC 6962)

  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const leafHash = (data) => sha256(joined(Uint8Array.of(0), data));
  const nodeHash = (left, right) => sha256(joined(Uint8Array.of(1), left, right));

  function half(count) {
    let power = 1;
    while (power * 2 < count) power *= 2;
    return power;
  }

  async function treeRoot(hashes) {
    if (hashes.length === 1) return hashes[0];
    const split = half(hashes.length);
    return nodeHash(await treeRoot(hashes.slice(0, split)), await treeRoot(hashes.slice(split)));
  }

  /** Return the root of a shared proof: one proof for many leaves, as decision 48 has it; every hash is used. */
  async function sharedRoot(size, leaves, hashes) {
    const wanted = [...leaves.keys()].sort((left, right) => left - right);
    if (wanted.length === 0 || wanted[wanted.length - 1] >= size) throw new BadFile("log.json proves a leaf outside the log.");
    let used = 0;
    const walk = async (start, end, inside) => {
      if (inside.length === 0) {
        if (used === hashes.length) throw new BadFile("log.json has too few hashes.");
        return hashes[used++];
      }
      if (end - start === 1) return leaves.get(start);
      const split = start + half(end - start);
      const left = await walk(start, split, inside.filter((index) => index < split));
      return nodeHash(left, await walk(split, end, inside.filter((index) => index >= split)));
    };
    const root = await walk(0, size, wanted);
    if (used !== hashes.length) throw new BadFile("log.json has too many hashes.");
    return root;
  }

  // --- what the page says

  const visible = (text) => text.replace(/\r\n?/g, "\n").replace(UNSHOWABLE, "\ufffd");

  /** Return version → place → content, from elements `{version, place, exact, text, nested}`. */
  function contentsOf(elements) {
    const found = new Map();
    for (const one of elements) {
      const version = /^[1-9][0-9]{0,9}$/.test(one.version) ? Number(one.version) : null;
      if (version === null || one.nested) throw new Difference("The page holds an element of another form.");
      const content = one.exact === null ? one.text : exactOf(one, version);
      const places = found.get(version) || new Map();
      found.set(version, places);
      if (places.has(one.place) && places.get(one.place) !== content) {
        throw new Difference("The page says two different things in one place", version, one.place);
      }
      places.set(one.place, content);
    }
    return found;
  }

  function exactOf(one, version) {
    let content = null;
    try {
      content = JSON.parse(one.exact);
    } catch {
      throw new Difference("An exact text that cannot be read", version, one.place);
    }
    const shows = one.place.startsWith("/") || visible(content) === one.text;
    if (typeof content !== "string" || !shows) {
      throw new Difference("What is shown is not the exact text", version, one.place);
    }
    return content;
  }

  const isHeader = (path) => /^v[0-9]+$/.test(path);
  const isParent = (value) => value !== null && typeof value === "object" && Object.keys(value).length > 0;

  function valueAt(header, pointer, version) {
    let value = header;
    for (const part of pointer.split("/").slice(1)) {
      const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
      if (value === null || typeof value !== "object" || !Object.hasOwn(value, name)) {
        throw new Difference("The page says something that the entry does not hold", version, pointer);
      }
      value = value[name];
    }
    return value;
  }

  /** Compare the labelled facts of one entry with its header: none is other, none is missing. */
  function compareHeader(places, header, version) {
    for (const [place, content] of places) {
      if (!place.startsWith("/")) continue;
      const value = valueAt(header, place, version);
      let stated = content;
      if (typeof value !== "string") {
        try {
          stated = JSON.stringify(JSON.parse(content));
        } catch {
          stated = null;
        }
      }
      if (stated !== (typeof value === "string" ? value : JSON.stringify(value))) {
        throw new Difference("A fact is not what the entry holds", version, place);
      }
    }
    const missing = (value, pointer) => {
      if (pointer && places.has(pointer)) return;
      if (!isParent(value)) throw new Difference("A fact of the entry is not on the page", version, pointer);
      for (const [name, inner] of Object.entries(value)) {
        missing(inner, `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`);
      }
    };
    if (isParent(header)) missing(header, "");
  }

  async function segmentLeaf(segment, places, version) {
    if (segment.digest !== undefined) return leafHash(fromHex(segment.digest));
    const content = places.get(segment.path);
    if (content === undefined) throw new Difference("A text is not on the page", version, segment.path);
    const bytes = utf8.encode(content), salt = fromHex(segment.salt);
    if (salt.length !== HASH) throw new Difference("A salt of wrong length", version, segment.path);
    const prefix = utf8.encode("wkseg\x01"), path = prefixed(utf8.encode(segment.path));
    return leafHash(await sha256(joined(prefix, salt, path, number(bytes.length, 4), bytes)));
  }

  /** Compare one event's texts and facts with its entry; return whether there was content to compare. */
  async function compareEvent(event, entry, places) {
    const known = new Set(event.segments.map((segment) => segment.path).filter((path) => path !== undefined));
    for (const place of places.keys()) {
      if (!place.startsWith("/") && !known.has(place)) {
        throw new Difference("The page holds a text that the entry does not bind", event.version, place);
      }
    }
    const headers = [...known].filter(isHeader);
    if (headers.length === 0 && [...places.keys()].some((place) => place.startsWith("/"))) {
      throw new Difference("The page states facts of an entry whose facts are left out", event.version);
    }
    // Of an entry that shows nothing there is nothing that a reader could be told wrongly; verify.py checks its digests.
    if (known.size === 0) return false;
    const leaves = [];
    for (const segment of event.segments) leaves.push(await segmentLeaf(segment, places, event.version));
    if (!same(await treeRoot(leaves), entry.subarray(ENTRY_BYTES - HASH))) {
      const shown = [...known].join(", ");
      throw new Difference("What the page says is not what the log binds", event.version, shown || null);
    }
    for (const path of headers) compareHeader(places, JSON.parse(places.get(path)), event.version);
    return true;
  }

  /** Compare the page with the entries it holds; return how many there are, what was not compared, and the entries. */
  async function consistency(held, elements) {
    const contents = contentsOf(elements), entries = new Map(), unseen = [];
    let previous = new Uint8Array(HASH), leftOut = 0;
    for (const [place, event] of held.events.entries()) {
      const entry = fromBase64(event.entry), reader = new Reader(entry, `Entry ${event.version}`);
      const magic = reader.take(7), kind = reader.number(1);
      reader.take(8);
      const stream = reader.take(16), version = reader.number(8), before = reader.take(HASH);
      const fits = entry.length === ENTRY_BYTES && same(magic, utf8.encode("WKLEAF\x01")) && kind === EVENT;
      if (!fits || hex(stream) !== held.stream || version !== place + 1 || event.version !== version) {
        throw new Difference("An entry that is not the next one of this record", event.version);
      }
      if (!same(before, previous) || entries.has(event.index)) {
        throw new Difference("An entry that does not follow the one before it", event.version);
      }
      previous = await leafHash(entry);
      if (!(await compareEvent(event, entry, contents.get(version) || new Map()))) unseen.push(version);
      leftOut += event.segments.filter((segment) => segment.digest !== undefined).length;
      entries.set(event.index, { entry, version });
      contents.delete(version);
    }
    for (const version of contents.keys()) throw new Difference("The page tells of an entry that is not there", version);
    return { count: held.events.length, unseen, leftOut, entries };
  }

  // --- what the bundle says

  function readLog(text) {
    let log = null;
    try {
      log = JSON.parse(text);
    } catch {
      throw new BadFile("log.json is not JSON.");
    }
    const fits = log !== null && typeof log === "object" && Number.isSafeInteger(log.size) && log.size > 0;
    if (!fits || !Array.isArray(log.hashes) || log.entries === null || typeof log.entries !== "object") {
      throw new BadFile("log.json has another form.");
    }
    const entries = new Map();
    for (const [index, entry] of Object.entries(log.entries)) {
      if (!/^(0|[1-9][0-9]{0,14})$/.test(index)) throw new BadFile("log.json has an entry without a number.");
      entries.set(Number(index), fromBase64(entry));
    }
    const hashes = log.hashes.map(fromBase64);
    if (hashes.some((one) => one.length !== HASH) || [...entries.values()].some((one) => one.length !== ENTRY_BYTES)) {
      throw new BadFile("log.json has a part of wrong length.");
    }
    return { size: log.size, entries, hashes };
  }

  function readCheckpoint(bytes) {
    let whole = "";
    if (bytes.length > MAX_NOTE_BYTES) throw new BadFile("The checkpoint is too large.");
    try {
      whole = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new BadFile("The checkpoint is not UTF-8.");
    }
    const cut = whole.lastIndexOf("\n\n");
    if (cut < 0 || !whole.endsWith("\n") || /[\x00-\x09\x0b-\x1f]/.test(whole)) {
      throw new BadFile("The checkpoint has another form.");
    }
    const text = whole.slice(0, cut + 1), lines = text.split("\n");
    const signatures = whole.slice(cut + 2, -1).split("\n");
    if (lines.length !== 4 || !lines[0] || !/^(0|[1-9][0-9]{0,14})$/.test(lines[1]) || signatures.length > MAX_SIGNATURES) {
      throw new BadFile("The checkpoint has another form.");
    }
    const root = fromBase64(lines[2]), parts = signatures[0].split(" ");
    if (root.length !== HASH || parts.length !== 3 || parts[0] !== "\u2014") {
      throw new BadFile("The checkpoint has another form.");
    }
    const blob = fromBase64(parts[2]);
    return {
      origin: lines[0], size: Number(lines[1]), root, text: utf8.encode(text),
      signer: parts[1], keyId: blob.subarray(0, 4), signature: blob.subarray(4),
    };
  }

  function readGenesis(bytes) {
    const reader = new Reader(bytes, "bodies/0");
    if (!same(reader.take(8), utf8.encode("WKEPOCH\x01"))) throw new BadFile("bodies/0 has another form.");
    const deployment = hex(reader.take(16)), epoch = reader.number(4), size = reader.number(8);
    reader.take(2 * HASH);
    reader.take(reader.number(4));
    reader.exactly(32);
    reader.exactly(1312);
    if (epoch !== 0 || size !== 0 || reader.number(1) !== 1) throw new BadFile("bodies/0 is no genesis.");
    const logKey = reader.exactly(32);
    reader.exactly(32);
    reader.exactly(1312);
    reader.exactly(64);
    reader.exactly(2420);
    reader.end();
    const id = deployment.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    return { origin: `wellkept/log/${id}`, logKey };
  }

  async function checkSignature(checkpoint, key) {
    const name = utf8.encode(checkpoint.origin);
    const id = (await sha256(joined(name, utf8.encode("\n"), Uint8Array.of(1), key))).subarray(0, 4);
    if (checkpoint.signer !== checkpoint.origin || !same(id, checkpoint.keyId)) {
      throw new Difference("The checkpoint is not signed by the log's key.");
    }
    let imported = null;
    try {
      imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
    } catch (error) {
      if (error.name === "DataError") throw new Difference("The log's key is no key.");
      throw new Unsupported("This browser cannot check Ed25519 signatures.");
    }
    if (!(await crypto.subtle.verify({ name: "Ed25519" }, imported, checkpoint.signature, checkpoint.text))) {
      throw new Difference("The signature of the checkpoint does not hold.");
    }
  }

  /** Return the fingerprint that was typed, as 64 hex digits, or null where nothing was. */
  function typedFingerprint(text) {
    const plain = text.replace(/[\s:-]/g, "").toLowerCase();
    if (plain === "") return null;
    if (!/^[0-9a-f]{64}$/.test(plain)) throw new BadFile("The fingerprint must have 64 digits, each 0 to 9 or a to f.");
    return plain;
  }

  /** Compare the entries of the page with the signed log; return how large it is, and whether it is pinned. */
  async function compareLog(found, files, fingerprint) {
    const log = readLog(files.log), checkpoint = readCheckpoint(files.checkpoint), genesis = readGenesis(files.genesis);
    const digest = await sha256(files.genesis);
    if (fingerprint !== null && hex(digest) !== fingerprint) {
      throw new Difference("The log is not the one whose fingerprint is on your papers.");
    }
    if (log.size !== checkpoint.size) throw new Difference("log.json and checkpoint are of logs of different size.");
    for (const [index, { entry, version }] of found.entries) {
      if (!log.entries.has(index) || !same(log.entries.get(index), entry)) {
        throw new Difference("An entry of the page is not in the log", version);
      }
    }
    const leaves = new Map();
    for (const [index, entry] of log.entries) leaves.set(index, await leafHash(entry));
    if (!same(await sharedRoot(log.size, leaves, log.hashes), checkpoint.root)) {
      throw new Difference("The entries are not those of the signed log.");
    }
    const first = log.entries.get(0);
    if (first === undefined || first[7] !== EPOCH || !same(first.subarray(93, 125), digest)) {
      throw new Difference("The log does not begin with this genesis.");
    }
    if (checkpoint.origin !== genesis.origin) throw new Difference("The checkpoint is of another log than the genesis.");
    await checkSignature(checkpoint, genesis.logKey);
    return { size: log.size, pinned: fingerprint !== null };
  }

  // --- the answer

  const ONLY_VERIFY = [
    "Only verify.py checks the keys of each epoch, the post-quantum signatures, that no entry was kept back, who looked, " +
      "and the other files of this folder.",
    "Headings, summaries, and dates and codes that are told in words are not compared; \u201cAs it is stored\u201d has " +
      "them to the letter.",
  ];

  function pageWords(found) {
    const words = [`What this page says of ${found.count} entries is what those entries, which it carries, bind.`];
    if (found.leftOut > 0) words.push(`${found.leftOut} parts are left out; nobody can compare what they say.`);
    if (found.unseen.length > 0) words.push(`Nothing of entry ${found.unseen.join(", ")} is shown, so nothing of it was compared.`);
    return words;
  }

  function logWords(found, log) {
    const steps = [...pageWords(found), `These entries lie in the log of ${log.size} entries that the checkpoint signs.`,
      "The signature of the checkpoint holds for the key that the log's genesis names."];
    if (!log.pinned) {
      return { state: "unpinned", title: "Unpinned: this may be a log that anybody made.", words: [
        ...steps, "Without the fingerprint on your papers nobody can tell whose log it is. Type it in and check again."] };
    }
    return { state: "matches", title: "No difference was found in what this page can check.", words: [
      ...steps, "The genesis has the fingerprint that you typed.", ...ONLY_VERIFY] };
  }

  /** Return `{state, title, words}`; `files` and `fingerprint` are what the reader gave, null where nothing. */
  async function answer(held, elements, files = null, fingerprint = "") {
    try {
      if (typeof crypto === "undefined" || !crypto.subtle) throw new Unsupported("This browser cannot compute digests here.");
      const found = await consistency(held, elements);
      if (files === null) {
        return { state: "consistent", title: "This page is consistent with itself.", words: [
          ...pageWords(found), "It was not compared with the log of the clinic yet. That says nothing of where it is from."] };
      }
      return logWords(found, await compareLog(found, files, typedFingerprint(fingerprint)));
    } catch (error) {
      if (error instanceof Difference) {
        return { state: "differs", title: "There is a difference. Do not rely on this page.", words: [error.message] };
      }
      if (error instanceof Unsupported) {
        return { state: "unsupported", title: "This browser cannot finish the check.", words: [error.message, "Use verify.py."] };
      }
      // What cannot be read shows nothing, least of all that all is well.
      return { state: "unreadable", title: "Nothing could be checked.", words: [error.message] };
    }
  }

  return { answer, visible };
})();
if (typeof module !== "undefined") module.exports = wellkeptCheck;
