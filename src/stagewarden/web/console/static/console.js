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
  const select = () => {
    const box = current()?.querySelector("input[type=checkbox]");
    box?.click();
    return Boolean(box);
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
    x: select,
    "/": search,
    p: () => follow("main [data-pause]"),
    a: () => choose("approve"),
    r: () => choose("reject"),
    s: () => choose("send_back"),
    e: () => choose("edit"),
    "g i": () => follow(".nav a[href='/']"),
    "g r": () => follow(".nav a[href='/rulings']"),
    "g a": () => follow(".nav a[href='/agents']"),
    "g l": () => follow(".nav a[href='/audit']"),
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

// A hold on its way: the page is opened anew once it says something else, not before (WCAG 2.2.1: nothing is taken from under a reader).
{
  const AGAIN = 2000; // milliseconds
  const state = (of) => of.querySelector("[data-under-way] .state")?.textContent;
  const look = async () => {
    try {
      const answer = await fetch(location.href, { redirect: "error" });
      const now = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok && state(now) !== state(document)) return location.reload();
    } catch {
      // the console is away, or the session is over: what stands here stays
    }
    setTimeout(look, AGAIN);
  };
  if (state(document)) setTimeout(look, AGAIN);
}
