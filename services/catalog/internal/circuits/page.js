'use strict';
// Draws what the stream sends, says when nothing comes, and sends what the forms ask for.
const root = document.documentElement, live = document.getElementById('live');
const freshText = document.getElementById('fresh-text'), freshAge = document.getElementById('fresh-age');
const silence = 3500; // milliseconds, then the numbers are old
let last = Date.now(), reason = '';
root.classList.add('js');

// morph makes from what to is and touches nothing else, so that focus, selection and what is being typed stay.
function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || from.id !== to.id) return from.replaceWith(to);
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.hasAttribute('data-keep')) return;
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
  const have = [...from.childNodes], want = [...to.childNodes];
  for (let i = 0; i < Math.max(have.length, want.length); i++) {
    if (!want[i]) have[i].remove();
    else if (!have[i]) from.append(want[i]);
    else morph(have[i], want[i]);
  }
}

function watch() {
  const stream = new EventSource('events');
  stream.addEventListener('page', event => {
    last = Date.now();
    reason = '';
    const next = new DOMParser().parseFromString(event.data, 'text/html').getElementById('live');
    if (next) morph(live, next);
    document.title = live.dataset.title;
    age();
  });
  stream.onerror = () => {
    if (stream.readyState !== EventSource.CLOSED) return; // it comes back by itself
    setTimeout(watch, 1000 + 2000 * Math.random());
    fetch('../circuits').then(r => { reason = r.status === 401 || r.status === 403 ? ' You are logged out, or may not see this any more.' : ''; }, () => {});
  };
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function age() {
  const old = Date.now() - last > silence;
  root.classList.toggle('old', old);
  root.classList.toggle('streaming', !old);
  say(freshText, old ? `Old numbers: nothing new since ${new Date(last).toLocaleTimeString()}.${reason}` : 'Live');
  say(freshAge, old ? `${Math.round((Date.now() - last) / 1000)} s ago` : '');
}

document.addEventListener('submit', async event => {
  const form = event.target, action = event.submitter.value, service = form.dataset.service;
  event.preventDefault();
  const outcome = form.querySelector('.outcome'), buttons = form.querySelectorAll('button');
  const request = action === 'release' ? { method: 'DELETE' } : {
    method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ state: action, reason: form.elements.reason.value }),
  };
  for (const b of buttons) b.disabled = true;
  outcome.className = 'outcome';
  try {
    const answer = await fetch(`${service}/override`, request);
    if (answer.ok) {
      form.reset();
      outcome.textContent = action === 'release' ? `${service} goes by itself again.` : `${service} is forced ${action}.`;
    } else {
      const problem = await answer.json().catch(() => ({}));
      outcome.classList.add('wrong');
      outcome.textContent = (problem.errors && problem.errors[0] && problem.errors[0].detail) || problem.detail || `That was refused (${answer.status}).`;
    }
  } catch {
    outcome.classList.add('wrong');
    outcome.textContent = 'Nobody answered. Whether it was done, the state will show.';
  }
  for (const b of buttons) b.disabled = false;
  event.submitter.focus();
});

watch();
age();
setInterval(age, 500);
