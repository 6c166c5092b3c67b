/* The page beside a card reader: what it answers, as it does; aloud once somebody has asked for that here. */
(() => {
  "use strict";
  const main = document.querySelector("main[data-reader]");
  if (!main) return;
  const url = main.dataset.reader;
  const stale = document.getElementById("stale");
  const button = document.getElementById("aloud");
  const POLL_MS = 1000, LOST_MS = 20000;
  let count = Number(document.getElementById("reader").dataset.count);
  let heard = Date.now(), source = null, polling = 0, aloud = false;

  function show(said) {
    heard = Date.now();
    stale.hidden = true;
    for (const place of main.querySelectorAll("[data-say]")) {
      if (place.textContent !== said[place.dataset.say]) place.textContent = said[place.dataset.say];
    }
    for (const line of main.querySelectorAll("[data-mark]")) line.hidden = line.dataset.mark !== said.mark;
    if (said.count > 0 && said.count !== count) speak(`${said.title}. ${said.money} ${said.text}`);
    if (said.count > 0) count = said.count;
  }

  function speak(text) {
    if (!aloud) return;
    const words = new SpeechSynthesisUtterance(text);
    words.lang = main.dataset.lang;
    speechSynthesis.cancel();
    speechSynthesis.speak(words);
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

  if ("speechSynthesis" in window) {
    button.hidden = false;
    button.addEventListener("click", () => { aloud = true; button.hidden = true; speak(button.textContent); });
  }
  setInterval(() => {
    if (Date.now() - heard > LOST_MS) { stale.hidden = false; pollFromNow(); }
  }, 1000);
  if ("EventSource" in window) {
    source = new EventSource(url);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.onerror = () => { if (source && source.readyState === EventSource.CLOSED) pollFromNow(); };
  } else {
    pollFromNow();
  }
})();
