/* The little that forms and links cannot do: the balance ticks, focus follows a swap, menus close. */
(() => {
  "use strict";
  const find = (selector, root = document) => root && root.querySelector(selector);
  const say = (text) => { const place = find("#announce"); if (place && text) place.textContent = text; };

  /* The balance asks more than once a second while somebody looks, and less often while the server is slow or away.
     What has not been confirmed for a while is marked, in words, until there is an answer. */
  const LATE = 4000, LOST = 15000;
  let wait = 1, idle = 0, asked = 0, heard = Date.now();
  const mark = (balance, words) => {
    const old = find(".stale", balance);
    if (!balance || Boolean(old) === Boolean(words)) return;
    const label = balance.getAttribute("aria-label");
    if (words) {
      balance.append(Object.assign(document.createElement("small"), { className: "stale", textContent: words }));
      if (label) balance.setAttribute("aria-label", `${label}. ${words}`);
      say(words);
    } else {
      old.remove();
      if (label) balance.setAttribute("aria-label", label.replace(`. ${balance.dataset.stale}`, ""));
    }
  };
  const tick = () => {
    const balance = find("#balance[hx-get]");
    if (!balance || document.hidden) return;
    const now = Date.now();
    if (now - heard > LATE) mark(balance, balance.dataset.stale);
    if (asked && now - asked > LOST) { htmx.trigger(balance, "htmx:abort"); asked = 0; }
    if (asked || ++idle < wait) return;
    idle = 0;
    htmx.trigger(balance, "tick");
  };
  const isBalance = (event) => event.target.id === "balance";
  document.addEventListener("htmx:beforeRequest", (event) => { if (isBalance(event)) asked = Date.now(); });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!isBalance(event)) return;
    const now = Date.now(), took = now - asked, status = event.detail.xhr.status;
    asked = 0;
    if (status >= 200 && status < 300) {
      heard = now;
      wait = Math.max(1, Math.min(Math.ceil(took / 200), 12));
      mark(find("#balance"), "");
      return;
    }
    wait = Math.min(wait * 2, 6);
    if (status === 401) { event.target.removeAttribute("hx-get"); mark(event.target, event.target.dataset.stale); }
  });
  document.addEventListener("balance-changed", (event) => say(event.detail.text));
  setInterval(tick, 900);
  const look = () => { idle = wait; heard = Math.max(heard, Date.now() - LATE + 1500); tick(); };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);
  window.addEventListener("offline", () => { heard = 0; tick(); });

  /* A form that only waits to be sent is sent, once somebody looks at it. */
  const send = () => {
    const form = find("form[data-submit]");
    if (!form || document.hidden || document.prerendering) return;
    form.removeAttribute("data-submit");
    form.requestSubmit();
    find("button", form).disabled = true;
  };
  document.addEventListener("DOMContentLoaded", send);
  document.addEventListener("visibilitychange", send);

  /* A refresh by itself leaves open what a person opened, and shows no waiting. */
  if (window.Idiomorph) {
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.localName === "details");
  }
  const busy = (event, on) => {
    const target = event.detail.target;
    if (!target || isBalance(event) || event.target.id === "credits") return;
    if (on) target.setAttribute("aria-busy", "true"); else target.removeAttribute("aria-busy");
  };
  document.addEventListener("htmx:beforeRequest", (event) => busy(event, true));
  document.addEventListener("htmx:afterRequest", (event) => busy(event, false));

  /* After a swap the focus goes to what is new: the errors, or the heading that says so. */
  document.addEventListener("htmx:afterSettle", (event) => {
    const root = event.detail.elt;
    const target = root && (root.matches("[data-focus]") ? root : find("[data-focus]", root));
    if (target) target.focus();
  });
  /* A toast can be put away where a script runs; elsewhere it goes with the page. */
  const dress = () => document.querySelectorAll("#toasts .toast:not(:has(.close))").forEach((toast) => {
    const close = Object.assign(document.createElement("button"), { className: "close", type: "button", textContent: "×" });
    close.setAttribute("aria-label", document.body.dataset.close);
    toast.append(close);
  });
  document.addEventListener("DOMContentLoaded", () => {
    find(".alert[data-focus]")?.focus();
    dress();
    const zone = find("input[type=hidden][name=time_zone]");
    if (zone) zone.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone;
  });

  /* What failed without an answer is said, and nothing that was on the page is lost. */
  const failed = (event) => { if (!isBalance(event) && event.detail.xhr?.status === 0) say(document.body.dataset.offline); };
  document.addEventListener("htmx:sendError", failed);
  document.addEventListener("htmx:responseError", (event) => {
    const answer = event.detail.xhr.responseText;
    if (isBalance(event) || !answer.startsWith("<div class=\"toast")) return;
    find("#toasts").innerHTML = answer;
    dress();
  });

  /* Menus close on Escape and when one clicks elsewhere. */
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
    if (event.target.closest(".toast .close")) event.target.closest(".toast").remove();
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && find("details.menu[open]");
    if (menu) { menu.open = false; find("summary", menu).focus(); }
  });
})();
