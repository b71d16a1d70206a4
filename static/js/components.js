/* Components that are more with a script, and pages that do without: copying, and a question above the page. */
(() => {
  "use strict";
  const say = (text) => { const place = document.querySelector("#announce"); if (place) place.textContent = text; };

  /* Copy: the button shows itself where it works, which is on https and on one's own machine. */
  const dress = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  };
  const copy = async (button) => {
    try { await navigator.clipboard.writeText(button.dataset.copy); } catch { return; }
    const words = button.querySelector("span"), before = words.dataset.before ||= words.textContent;
    words.textContent = button.dataset.copied;
    say(button.dataset.copied);
    setTimeout(() => { words.textContent = before; }, 2000);
  };

  /* A question opens in the page's one dialog; an answer without one, such as a log-in, opens as the page that it is. */
  const dialog = () => document.querySelector("#dialog");
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "dialog") return;
    const place = dialog(), title = place.querySelector("h1, h2");
    if (!title || !place.showModal) { location.assign(event.detail.requestConfig.path); return; }
    title.id ||= "dialog-title";
    place.setAttribute("aria-labelledby", title.id);
    if (!place.open) place.showModal();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    const place = dialog();
    if (place?.open && (event.target === place || event.target.closest("#dialog [data-closes]"))) {
      event.preventDefault();
      place.close();
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    dress(document);
    /* On a telephone the menu is longer than the line: where one is must be seen. */
    for (const link of document.querySelectorAll(":is(.top nav, .tabs, .ranges) [aria-current]")) {
      const line = link.closest("nav"), box = link.getBoundingClientRect(), frame = line.getBoundingClientRect();
      line.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
    }
    dialog()?.addEventListener("close", (event) => event.target.replaceChildren());
  });
  document.addEventListener("htmx:afterSettle", (event) => dress(event.detail.elt));
})();
