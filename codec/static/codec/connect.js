// Asks every two seconds what has arrived from this browser, while somebody looks at the Connect page.

const EVERY = 2000;
const AT_MOST = 15 * 60 * 1000; // then it pauses: a forgotten tab should keep no session alive
const seen = document.getElementById("seen");
const updates = document.getElementById("updates");
const announcement = document.getElementById("announce");
let shown = seen.innerHTML.trim();
let cause = seen.querySelector("[data-cause]").dataset.cause;
let timer = 0;
let until = 0;

function start() {
  until = Date.now() + AT_MOST;
  updates.textContent = "Updates by itself.";
  clearInterval(timer);
  timer = setInterval(look, EVERY);
  look();
}

function pause(...told) {
  clearInterval(timer);
  timer = 0;
  updates.replaceChildren(...told);
}

async function look() {
  if (document.hidden) return;
  if (Date.now() > until) return pause(button("Paused. Go on", start));
  let answer;
  try {
    answer = await fetch(seen.dataset.url, { headers: { Accept: "application/json" } });
  } catch {
    updates.textContent = "This server does not answer. Trying again.";
    return;
  }
  if (answer.status === 401) return pause("You are signed out here. ", link("Sign in again", seen.dataset.login));
  if (!answer.ok) return;
  updates.textContent = "Updates by itself.";
  show(await answer.json());
}

function show(news) {
  if (news.html.trim() === shown) return;
  shown = news.html.trim();
  const open = new Set([...seen.querySelectorAll("details[open]")].map((each) => each.id));
  seen.innerHTML = shown; // our own template's, with everything in it escaped
  for (const each of seen.querySelectorAll("details")) each.open = open.has(each.id);
  localTimes();
  if (news.cause !== cause) announcement.textContent = news.title;
  cause = news.cause;
}

function localTimes() {
  for (const each of seen.querySelectorAll("time")) {
    each.textContent = new Date(each.dateTime).toLocaleTimeString();
  }
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "copy";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

function link(text, url) {
  const made = document.createElement("a");
  made.href = url;
  made.textContent = text;
  return made;
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && timer) look(); });
localTimes();
start();
