// The console's one script, and optional: every page is read and every vote is cast without it.
// Each feature is a block of its own and does nothing where its elements are absent. Never casts, stops or revokes by itself;
// never builds markup from text. It runs deferred, under script-src 'self'.
"use strict";

// Keys (the list is /keys). Single keys work outside fields only and can be switched off (WCAG 2.1.4). No key stops or revokes.
{
  const SWITCH = "stagewarden-keys";
  const PAIR = 1500; // milliseconds between g and the letter after it
  const dialog = document.getElementById("keys");

  const kept = () => {
    try {
      return localStorage.getItem(SWITCH);
    } catch {
      return null; // storage is shut: the keys are on, and the switch holds for this page
    }
  };
  let on = kept() !== "off";
  for (const box of document.querySelectorAll("[data-keys-switch]")) {
    box.closest("[hidden]")?.removeAttribute("hidden");
    box.checked = on;
    box.addEventListener("change", () => {
      on = box.checked;
      for (const other of document.querySelectorAll("[data-keys-switch]")) other.checked = on;
      try {
        localStorage.setItem(SWITCH, on ? "on" : "off");
      } catch {
        // as above
      }
    });
  }
  for (const link of document.querySelectorAll("[data-keys-open]")) {
    link.addEventListener("click", (event) => {
      if (!dialog) return;
      event.preventDefault();
      dialog.showModal();
    });
  }

  const typing = (at) => at.isContentEditable || at.matches("textarea, select, input:not([type=radio], [type=checkbox])");
  const follow = (selector) => {
    const link = document.querySelector(selector);
    link?.click();
    return Boolean(link);
  };
  const rows = () => [...document.querySelectorAll("main [data-row]")].filter((row) => row.checkVisibility());
  const current = () => document.activeElement?.closest("main [data-row]");
  const opener = (row) => row?.querySelector("a[href]");
  const step = (by) => {
    const all = rows();
    if (!all.length) return follow(by > 0 ? "main a[rel=next]" : "main a[rel=prev]");
    const place = all.indexOf(current());
    const next = all[place < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(place + by, 0), all.length - 1)];
    opener(next)?.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  };
  const open = () => {
    const link = opener(current());
    link?.click();
    return Boolean(link);
  };
  const search = () => {
    const field = document.querySelector("main input[type=search]");
    field?.focus();
    return Boolean(field);
  };
  const form = document.getElementById("vote");
  const choose = (value) => {
    if (!form) return false;
    const choice = form.querySelector(`input[name=decision][value=${value}]`);
    if (choice && !choice.disabled) {
      choice.click();
      choice.focus();
    }
    (choice ?? form).scrollIntoView({ block: "center" });
    return true;
  };
  const reason = (number) => {
    const decision = form?.querySelector("input[name=decision]:checked")?.value;
    if (decision !== "reject" && decision !== "send_back") return false;
    const choice = form.querySelectorAll("input[name=reason]")[number - 1];
    choice?.click();
    choice?.focus();
    return Boolean(choice);
  };
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    o: open,
    u: () => follow("main .crumbs a"),
    "/": search,
    p: () => follow("main [data-pause]"),
    a: () => choose("approve"),
    r: () => choose("reject"),
    s: () => choose("send_back"),
    e: () => choose("edit"),
    "g i": () => follow(".nav a[href='/']"),
    "g r": () => follow(".nav a[href='/rulings']"),
    "g a": () => follow(".nav a[href='/agents']"),
    "?": () => {
      dialog?.showModal();
      return Boolean(dialog);
    },
  };

  let prefixed = -Infinity;
  document.addEventListener("keydown", (event) => {
    const at = event.target instanceof Element ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && typing(at)) return at.blur(); // what was typed stays
    if (!on || event.repeat || typing(at)) return;
    const pair = event.timeStamp - prefixed < PAIR;
    prefixed = event.key === "g" && !pair ? event.timeStamp : -Infinity;
    const act = pair ? keys[`g ${event.key}`] : /^[1-9]$/.test(event.key) ? () => reason(Number(event.key)) : keys[event.key];
    if (act?.()) event.preventDefault();
  });
}

// What happens, as the server tells it (GET /events): one stream for the whole page, only while it is looked at, because a browser opens
// few connections to one host. Features listen on `happens`; each event carries ids and states, and what it is about is read again.
const happens = new EventTarget();
{
  const NAMES = ["ready", "reset", "hold", "ruling", "mode", "kill", "unkill"];
  let stream = null;
  let wanted = false;
  const open = () => {
    if (!wanted || stream || document.hidden) return;
    stream = new EventSource("/events");
    for (const name of NAMES) {
      stream.addEventListener(name, (event) => happens.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(event.data) })));
    }
    stream.addEventListener("error", () => {
      if (stream?.readyState !== EventSource.CLOSED) return; // it comes back by itself
      stream = null;
      happens.dispatchEvent(new CustomEvent("over")); // signed out, or no place is free
    });
  };
  happens.follow = () => {
    wanted = true;
    open();
  };
  const close = () => {
    stream?.close();
    stream = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open); // a page that was left and is come back to, as it was
}

// A hold on its way: the page is opened anew once it says something else, not before (WCAG 2.2.1: nothing is taken from under a reader).
{
  const AGAIN = 2000; // milliseconds
  const shown = document.querySelector("[data-under-way]");
  const look = async () => {
    const page = `/holds/${shown.dataset.underWay}`;
    try {
      const answer = await fetch(`${page}/now`, { redirect: "error" });
      if (answer.ok && (await answer.json()).state !== shown.dataset.state) {
        return location.pathname === page ? location.reload() : location.replace(page);
      }
    } catch {
      // the console is away, or the session is over: what stands here stays
    }
    setTimeout(look, AGAIN);
  };
  if (shown) setTimeout(look, AGAIN);
}

// Changed while you looked: told by the stream of events, looked up, and said at once. The vote is off; the server would refuse it in any case.
{
  const form = document.querySelector("#vote[data-hold]");
  const banner = document.querySelector("[data-changed]");
  if (form && banner) {
    const page = `/holds/${form.dataset.hold}`;
    const told = new AbortController(); // it is said once
    const say = (now) => {
      const ended = now.state === "pending" ? "" : ` It is ${now.state.replace("_", " ")}.`;
      const bold = document.createElement("b");
      bold.textContent = "This request changed while you looked.";
      banner.hidden = false;
      banner.querySelector("[data-changed-says]").replaceChildren(bold, `${ended} Nothing was cast, and the vote below is off.`);
      for (const control of form.querySelectorAll("button, [name=decision]")) control.disabled = true;
      told.abort();
    };
    const look = async () => {
      try {
        const answer = await fetch(`${page}/now`, { redirect: "error" });
        if (!answer.ok) return;
        const now = await answer.json();
        const same = ["digest", "view_digest"].every((name) => now[name] === form.elements[name].value);
        if (!same || now.state !== "pending") say(now);
      } catch {
        // the console is away: the server's own check stands
      }
    };
    // "ready" comes with each stream: whoever comes back to the page looks first.
    happens.addEventListener("hold", (event) => event.detail.hold === form.dataset.hold && look(), { signal: told.signal });
    for (const name of ["ready", "reset"]) happens.addEventListener(name, look, { signal: told.signal });
    happens.follow();
    banner.querySelector("[data-changed-show]").addEventListener("click", () => {
      form.action = `${page}/changed`;
      form.submit();
    });
  }
}

// A detour to sign in again: what is filled in waits in this tab, for this person and this very view; what is typed to approve does not.
{
  const form = document.querySelector("#vote[data-hold]");
  const place = form && `stagewarden-vote-${form.dataset.hold}`;
  const own = (control) => control.name && control.type !== "hidden" && control.name !== "typed";
  if (form) {
    for (const said of document.querySelectorAll("[data-kept]")) said.hidden = false;
    for (const link of document.querySelectorAll("[data-detour]")) {
      link.addEventListener("click", () => {
        const controls = [...form.elements].filter(own);
        const checked = controls.filter((one) => one.checked).map((one) => [one.name, one.value]);
        const typed = controls.filter((one) => one.matches("textarea, select")).map((one) => [one.name, one.value]);
        const kept = { person: form.dataset.person, view: form.elements.view_digest.value, checked, typed };
        try {
          sessionStorage.setItem(place, JSON.stringify(kept));
        } catch {
          // storage is shut: the answers are given again
        }
      });
    }
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(place));
      sessionStorage.removeItem(place);
    } catch {
      // as above
    }
    if (kept && kept.person === form.dataset.person && kept.view === form.elements.view_digest.value) {
      const controls = [...form.elements].filter(own);
      for (const [name, value] of kept.checked) {
        const control = controls.find((one) => one.name === name && one.value === value);
        if (control) control.checked = true;
      }
      for (const [name, value] of kept.typed) {
        const control = controls.find((one) => one.name === name);
        if (control) control.value = value;
      }
      const said = form.querySelector("[data-restored]");
      said.hidden = false;
      said.textContent = "What you had filled in before you signed in again is here.";
    }
  }
}

// Read boxes: each ticks itself once the end of its section was in view. Whoever unticks one has the last word.
{
  const MEANT = 600; // milliseconds
  const boxes = [...document.querySelectorAll("[data-readbox]")].filter((box) => !box.checked && box.closest("section"));
  if (boxes.length && "IntersectionObserver" in window) {
    const ends = new Map();
    const watcher = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        const box = ends.get(target);
        watcher.unobserve(target);
        if (box.checked) continue;
        box.checked = true;
        // A click that was meant to tick it, and came with the scrolling that did, does not take the tick away.
        const own = new AbortController();
        setTimeout(() => own.abort(), MEANT);
        box.addEventListener("click", (event) => event.preventDefault(), { signal: own.signal });
        box.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
    for (const box of boxes) {
      const end = document.createElement("span");
      box.closest("section").append(end);
      ends.set(end, box);
      watcher.observe(end);
    }
  }
}

// What is still open before an approval, counted while it is filled in. The server says it again, and decides.
{
  const form = document.getElementById("vote");
  const told = form?.querySelector("[data-opened]");
  const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  const count = () => {
    const open = [];
    const unread = [...document.querySelectorAll("[data-readbox]:required")].filter((box) => !box.checked);
    if (unread.length) open.push([unread.length, `${plural(unread.length, "section")} unread`]);
    for (const section of document.querySelectorAll(".asks section")) {
      const asks = [...section.querySelectorAll(".ask")];
      const yes = asks.filter((ask) => ask.querySelector("[value=yes]:checked")).length;
      const answered = asks.filter((ask) => ask.querySelector(":checked")).length;
      section.querySelector("[data-answered]").textContent = `${answered} of ${asks.length}`;
      const word = section.querySelector("h2").firstChild.textContent === "Checks" ? "check" : "question";
      if (yes < asks.length) open.push([asks.length - yes, plural(asks.length - yes, word)]);
    }
    if (form.querySelector("select[name=function]:invalid")) open.push([1, "the seat"]);
    if (form.querySelector("[name=typed]:invalid")) open.push([1, "what you type"]);
    const total = open.reduce((sum, [number]) => sum + number, 0);
    told.textContent = `${total} open: ${open.map(([, words]) => words).join(", ")}`;
    for (const place of document.querySelectorAll("[data-open]")) {
      place.hidden = false;
      place.textContent = total ? `${total} open` : "nothing open";
    }
  };
  if (told) {
    for (const kind of ["change", "input"]) document.addEventListener(kind, count);
    count();
  }
}

// Copy: a button beside what is worth copying whole.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // only where the page came over TLS, or from this machine
  button.hidden = false;
  button.addEventListener("click", async () => {
    const said = button.querySelector(".away");
    said.textContent = await navigator.clipboard.writeText(button.dataset.copy).then(
      () => "Copied",
      () => "Not copied: this browser does not let the page", // it may be asked, and say no
    );
    said.setAttribute("role", "status");
  });
}

// The countdown beside the absolute time: measured from what the server said was left, never from this machine's clock.
{
  const place = document.querySelector("[data-countdown]");
  if (place) {
    const whole = Number(place.dataset.countdown);
    const begun = performance.now();
    const bar = document.querySelector("[data-elapsed]");
    const share = Number(bar?.getAttribute("width")) || 0;
    const tick = () => {
      const left = Math.max(0, whole - (performance.now() - begun));
      const seconds = Math.ceil(left / 1000);
      place.textContent = seconds < 60 ? `in ${seconds} s, ` : `in ${Math.floor(seconds / 60)} min ${seconds % 60} s, `;
      bar?.setAttribute("width", String(Math.round(1000 - (1000 - share) * (whole ? left / whole : 0))));
      if (left > 0) setTimeout(tick, 1000);
    };
    place.hidden = false;
    tick();
  }
}

// What is new in a list, said at most every ten seconds and only said: nothing moves under whoever is reading. To look keeps no session alive.
{
  const PAUSE = 10_000; // milliseconds
  const line = document.querySelector("[data-news]");
  if (line) {
    let due = 0;
    let timer = null;
    let said = 0;
    const look = async () => {
      timer = null;
      due = performance.now() + PAUSE;
      const address = new URL(line.dataset.news, location.origin);
      address.searchParams.set("since", line.dataset.since);
      const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" }).catch(() => null);
      if (!answer?.ok) return;
      const { new: number } = await answer.json();
      if (number === said) return;
      said = number;
      line.replaceChildren();
      if (number < 1) return; // decided or withdrawn before anybody looked
      const link = document.createElement("a");
      link.href = location.pathname + location.search;
      link.textContent = number === 1 ? "Show it" : "Show them";
      line.append(number === 1 ? "1 new hold. " : `${number} new holds. `, link);
    };
    const later = () => {
      timer ??= setTimeout(look, Math.max(0, due - performance.now()));
    };
    for (const name of ["hold", "reset", "ready"]) happens.addEventListener(name, later);
    happens.follow();
  }
}

// Rulings as they happen: new rows at the top, never while the list is pointed at, focused or paused. The list is no live region; a polite
// line counts at most every ten seconds. Rows are the server's own page, parsed as a document: no markup is made of text here.
{
  const list = document.querySelector("[data-live]");
  if (list) {
    const KEPT = 200; // rows
    const EVERY = 1000; // milliseconds between two readings
    const SAID = 10_000; // milliseconds between two sentences
    const body = list.querySelector("tbody");
    const button = document.querySelector("main [data-pause]");
    const says = document.querySelector("[data-live-says]");
    let top = Number(list.dataset.top);
    let behind = false;
    let reading = false;
    let paused = false;
    let fresh = 0;
    let lastRead = -Infinity;
    let lastSaid = -Infinity;
    let timer = 0;
    let speaking = 0;

    const held = () => paused || list.matches(":hover") || list.contains(document.activeElement);
    const speak = () => {
      speaking = 0;
      if (!fresh) return;
      says.textContent = `${fresh} new ${fresh === 1 ? "ruling" : "rulings"}`;
      fresh = 0;
      lastSaid = performance.now();
    };
    const count = (number) => {
      fresh += number;
      if (!speaking) speaking = setTimeout(speak, Math.max(0, lastSaid + SAID - performance.now()));
    };
    const insert = (page) => {
      const rows = [...page.querySelectorAll("tr[data-row]")].filter((row) => Number(row.dataset.seq) > top);
      if (page.querySelector("[data-more]")) body.replaceChildren();
      body.querySelector(".none")?.remove();
      body.prepend(...rows.map((row) => document.adoptNode(row)));
      top = Math.max(top, ...rows.map((row) => Number(row.dataset.seq)));
      while (body.rows.length > KEPT) body.rows[body.rows.length - 1].remove();
      for (const number of page.querySelectorAll("[data-count]")) {
        const shown = document.querySelector(`#counts [data-count=${number.dataset.count}]`);
        if (shown) shown.textContent = number.textContent;
      }
      count(rows.length);
    };
    const read = () => {
      timer = 0;
      if (!behind || reading || held()) return;
      behind = false;
      reading = true;
      lastRead = performance.now();
      const request = new XMLHttpRequest();
      const address = new URL(list.dataset.live, location.href);
      address.searchParams.set("after", String(top));
      request.open("GET", address);
      request.responseType = "document";
      request.addEventListener("load", () => {
        if (request.status !== 200 || !request.response) return;
        if (held()) behind = true; // somebody came meanwhile: nothing moves under their pointer
        else insert(request.response);
      });
      request.addEventListener("loadend", () => {
        reading = false;
        soon();
      });
      request.send();
    };
    const soon = () => {
      if (behind && !timer && !held()) timer = setTimeout(read, Math.max(0, lastRead + EVERY - performance.now()));
    };
    const news = () => {
      behind = true;
      soon();
    };

    for (const name of ["ruling", "reset", "ready"]) happens.addEventListener(name, news);
    happens.addEventListener("over", () => {
      says.textContent = "The list is not live any more: open the page again.";
    });
    list.addEventListener("pointerleave", () => setTimeout(soon));
    list.addEventListener("focusout", () => setTimeout(soon));
    button.hidden = false;
    button.addEventListener("click", () => {
      paused = !paused;
      button.setAttribute("aria-pressed", String(paused));
      button.querySelector("span").textContent = paused ? "Paused: go on" : "Pause the list";
      soon();
    });
    happens.follow();
  }
}
