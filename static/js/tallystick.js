/* The little that forms and links cannot do: the balance ticks, focus follows a swap, menus close. */
(() => {
  "use strict";
  const find = (selector, root = document) => root.querySelector(selector);
  const say = (text) => { const place = find("#announce"); if (place && text) place.textContent = text; };

  /* The balance asks more than once a second while somebody looks, less often while the server cannot answer. */
  let wait = 1, idle = 0, asking = false;
  const tick = () => {
    const balance = find("#balance[hx-get]");
    if (!balance || document.hidden || asking || ++idle < wait) return;
    idle = 0;
    htmx.trigger(balance, "tick");
  };
  const isBalance = (event) => event.target.id === "balance";
  document.addEventListener("htmx:beforeRequest", (event) => { if (isBalance(event)) asking = true; });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!isBalance(event)) return;
    asking = false;
    const status = event.detail.xhr.status;
    wait = status >= 200 && status < 300 ? 1 : Math.min(wait * 2, 60);
    if (status === 401) event.target.removeAttribute("hx-get");
  });
  document.addEventListener("balance-changed", (event) => say(event.detail.text));
  setInterval(tick, 800);
  document.addEventListener("visibilitychange", () => { idle = wait; tick(); });

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
