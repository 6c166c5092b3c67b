// Life for pages that work without it: live numbers, one click at a time, a menu that closes. No page needs it.
(() => {
  "use strict";

  // A form is sent once; the key in it makes even a second sending harmless.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => form.querySelectorAll("button").forEach((b) => { b.disabled = true; }), 0);
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // "Done" is said once: a reload shall not say it again.
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done");
    history.replaceState(null, "", here);
  }

  document.querySelectorAll("[data-print]").forEach((b) => b.addEventListener("click", () => print()));
  document.querySelectorAll("form[data-auto] select").forEach((s) => s.addEventListener("change", () => s.form.submit()));

  const live = document.querySelector("[data-live-url]");
  if (!live) return;
  const url = live.dataset.liveUrl;
  let version = live.dataset.version;

  const apply = (news) => {
    for (const [name, text] of Object.entries(news.text || {})) {
      document.querySelectorAll(`[data-text="${CSS.escape(name)}"]`).forEach((e) => {
        if (e.textContent !== text) e.textContent = text;
      });
    }
    for (const [name, [state, tone]] of Object.entries(news.state || {})) {
      document.querySelectorAll(`[data-of="${CSS.escape(name)}"]`).forEach((e) => {
        if (e.dataset.state === state) return;
        e.dataset.state = state;
        e.dataset.tone = tone;
        const use = e.querySelector("use");
        if (use) use.setAttribute("href", `#i-${state}`);
      });
    }
    if (news.version && news.version !== version) again(news.version);
  };

  // What can be done has changed: take the part anew, unless somebody is about to do something in it.
  let asking = false;
  const inUse = () => live.querySelector("details.ask[open], [data-sent]")
    || (live.contains(document.activeElement) && document.activeElement.matches("input,select,textarea"));
  const again = async (wanted) => {
    if (asking || inUse()) return;
    asking = true;
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-live-url]");
      if (answer.ok && fresh && !inUse()) { live.innerHTML = fresh.innerHTML; version = wanted; }
    } finally { asking = false; }
  };

  let fails = 0;
  const poll = async () => {
    try {
      const answer = await fetch(`${url}${url.includes("?") ? "&" : "?"}once=1`);
      if (answer.ok) apply(await answer.json());
    } catch { /* the next one may get through */ }
    setTimeout(poll, 5000);
  };
  const listen = () => {
    const source = new EventSource(url);
    source.onmessage = (event) => { fails = 0; apply(JSON.parse(event.data)); };
    source.onerror = () => {
      fails += 1;
      if (fails > 3 || source.readyState === EventSource.CLOSED) { source.close(); poll(); } // no room: ask now and then
    };
    addEventListener("pagehide", () => source.close());
  };
  if (window.EventSource) listen(); else poll();
})();
