/* Life for a page that works without: server-sent events, else polling, else a link to reload. */
(() => {
  "use strict";
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.classList.contains("busying")) event.preventDefault();
      form.classList.add("busying");
    });
  }
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const url = main.dataset.live;
  const stale = document.getElementById("stale");
  const said = document.getElementById("said");
  const POLL_MS = 3000, LOST_MS = 12000, SAY_MS = 60000;
  let source = null, polling = 0, heard = Date.now(), spoken = Date.now(), leaving = false;

  function show(message) {
    heard = Date.now();
    stale.hidden = true;
    if (message.key !== main.dataset.key) {
      if (!leaving) location.reload();
      leaving = true;
      return;
    }
    for (const [name, text] of Object.entries(message.fields)) {
      for (const place of main.querySelectorAll(`[data-f="${name}"]`)) {
        if (place.textContent !== text) place.textContent = text;
      }
      for (const bar of main.querySelectorAll(`[data-v="${name}"]`)) bar.value = Number(text);
    }
    if (message.fields.power && heard - spoken > SAY_MS) {
      spoken = heard;
      said.textContent = [...main.querySelectorAll(".figure, .trio > div")].map((one) => one.innerText).join(", ");
    }
    if (message.over) stop();
  }

  function stop() {
    if (source) source.close();
    clearInterval(polling);
    clearInterval(watching);
    clearInterval(drawing);
  }

  async function poll() {
    try {
      const answer = await fetch(`${url}&once=1`, { cache: "no-store" });
      if (answer.ok) show(await answer.json());
    } catch (error) { /* the watch below says so */ }
  }

  function pollFromNow() {
    if (source) source.close();
    source = null;
    if (!polling) polling = setInterval(poll, POLL_MS);
  }

  async function draw() {
    const place = document.getElementById("curve");
    if (!place || document.hidden) return;
    try {
      const answer = await fetch(main.dataset.curve, { cache: "no-store" });
      if (answer.ok) place.innerHTML = await answer.text();
    } catch (error) { /* the next one will do */ }
  }

  const watching = setInterval(() => {
    const silent = Date.now() - heard;
    if (silent > LOST_MS && source && !document.hidden) { pollFromNow(); poll(); }
    if (silent > 2 * LOST_MS) stale.hidden = false;
  }, 1000);
  const drawing = setInterval(draw, Number(main.dataset.curveS) * 1000);

  if ("EventSource" in window) {
    source = new EventSource(url);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.onerror = () => { if (source && source.readyState === EventSource.CLOSED) pollFromNow(); };
  } else {
    pollFromNow();
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
})();
