// What makes the shop quicker to use. Every page works without it.
"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

document.documentElement.classList.add("js");

// Says something to those who listen.
const say = (text, kind = "done") => {
  const place = one("#notices");
  if (!place) return;
  const line = document.createElement("p");
  line.className = `notice ${kind}`;
  line.textContent = text;
  place.replaceChildren(line);
};

// Fetches a page of the shop and reads it.
const fetchPage = async (address, options = {}) => {
  const answer = await fetch(address, {
    credentials: "same-origin",
    headers: { Accept: "text/html" },
    ...options,
  });
  const text = await answer.text();
  return { answer, page: new DOMParser().parseFromString(text, "text/html") };
};

// Puts the parts of another page in place of this page's.
const adopt = (page, selectors) => {
  for (const selector of selectors) {
    const fresh = one(selector, page);
    const stale = one(selector);
    if (!fresh || !stale) continue;
    // A region that is read out when it changes has to stay the same one.
    if (stale.hasAttribute("aria-live")) stale.replaceChildren(...fresh.childNodes);
    else stale.replaceWith(document.adoptNode(fresh));
  }
};

// --- sending a form once ---------------------------------------------------------------------------------------------

const settle = (form, busy) => {
  for (const button of all("button", form)) {
    button.disabled = busy;
    button.setAttribute("aria-busy", String(busy));
  }
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("[data-once]:not([data-cart])")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  // After the browser has collected the fields: a disabled button would not be among them.
  setTimeout(() => settle(form, true));
});

// Coming back by the browser's history shows the old page as it was left.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of all("form[data-sent]")) {
    delete form.dataset.sent;
    settle(form, false);
  }
});

// --- choices that apply at once --------------------------------------------------------------------------------------

document.addEventListener("change", (event) => {
  const field = event.target;
  if (!field.matches("[data-submit]") || !field.form.checkValidity()) return;
  field.form.requestSubmit();
});

// --- the basket ------------------------------------------------------------------------------------------------------

let carting = Promise.resolve();

const sendToCart = async (form) => {
  const focused = document.activeElement && document.activeElement.id;
  settle(form, true);
  try {
    const body = new URLSearchParams(new FormData(form));
    const { answer, page } = await fetchPage(form.action, { method: "POST", body });
    if (!answer.ok) throw new Error(String(answer.status));
    adopt(page, ["#nav-cart", "#notices", "#cart"]);
    // The part with the focus may be gone, and a disabled button lost it; the keyboard goes on where it was.
    settle(form, false);
    if (focused && document.activeElement === document.body) {
      const next = document.getElementById(focused) || one("#cart a, #cart button") || one("#main");
      next.focus();
    }
  } catch {
    // The ordinary way shows what is wrong.
    form.submit();
    return;
  } finally {
    settle(form, false);
  }
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-cart]")) return;
  event.preventDefault();
  if (form.dataset.waiting) return;
  form.dataset.waiting = "1";
  // One change after the other, so that the last answer is the latest state.
  carting = carting.then(() => sendToCart(form)).finally(() => delete form.dataset.waiting);
});

// --- suggestions -----------------------------------------------------------------------------------------------------

const suggestions = () => {
  const input = one("#search-q");
  if (!input) return;
  const list = document.createElement("ul");
  list.id = "search-suggestions";
  list.className = "suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  list.hidden = true;
  input.after(list);
  for (const [name, value] of Object.entries({
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list.id,
  })) {
    input.setAttribute(name, value);
  }

  let active = -1;
  let typed = input.value;
  let timer = 0;
  let asking = null;
  const options = () => all("[role=option]", list);

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const mark = (index) => {
    const there = options();
    active = index;
    there.forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    if (active < 0) {
      input.value = typed;
      input.removeAttribute("aria-activedescendant");
    } else {
      input.value = there[active].dataset.text;
      input.setAttribute("aria-activedescendant", there[active].id);
      there[active].scrollIntoView({ block: "nearest" });
    }
  };

  const go = (option) => {
    const { kind, text, product } = option.dataset;
    if (kind === "product" && product) {
      location.assign(`/products/${encodeURIComponent(product)}`);
    } else if (kind === "brand") {
      location.assign(`/search?brand=${encodeURIComponent(text)}`);
    } else {
      input.value = text;
      input.form.requestSubmit();
    }
  };

  const show = (items) => {
    list.replaceChildren(
      ...items.map((item, i) => {
        const option = document.createElement("li");
        option.id = `suggestion-${i}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        Object.assign(option.dataset, { text: item.text, kind: item.kind, product: item.product_id || "" });
        const text = document.createElement("span");
        text.textContent = item.text;
        const kind = document.createElement("span");
        kind.className = "muted";
        kind.textContent = item.kind;
        option.append(text, " ", kind);
        return option;
      }),
    );
    active = -1;
    list.hidden = items.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };

  const ask = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const address = `/api/suggest?limit=8&q=${encodeURIComponent(typed)}`;
      const answer = await fetch(address, { signal: asking.signal });
      if (answer.ok && document.activeElement === input) show((await answer.json()).items);
    } catch {
      // Suggestions are a courtesy; without them there is still the search.
    }
  };

  input.addEventListener("input", () => {
    typed = input.value;
    clearTimeout(timer);
    if (typed.trim().length < 2) {
      asking?.abort();
      close();
      return;
    }
    timer = setTimeout(ask, 150);
  });
  input.addEventListener("keydown", (event) => {
    const there = options();
    if (list.hidden || there.length === 0) return;
    if (event.key === "ArrowDown") mark(active + 1 >= there.length ? -1 : active + 1);
    else if (event.key === "ArrowUp") mark(active < 0 ? there.length - 1 : active - 1);
    else if (event.key === "Escape") {
      mark(-1);
      close();
    } else if (event.key === "Enter" && active >= 0) go(there[active]);
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", () => setTimeout(close, 150));
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) go(option);
  });
};

// --- an order under way ----------------------------------------------------------------------------------------------

const LOOKS_MAX = 200;

const follow = async () => {
  let pause = 700;
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const order = one("#order[data-running]");
    if (!order) return;
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 1.3, 10000);
    if (document.hidden) continue;
    try {
      const { answer, page } = await fetchPage(location.pathname);
      const fresh = one("#order", page);
      if (!answer.ok || !fresh || fresh.innerHTML === order.innerHTML) continue;
      // Whoever reads a focused part is not torn away from it while nothing but a time changes.
      const news = fresh.dataset.status !== order.dataset.status;
      adopt(page, news ? ["main h1", "#order"] : ["#order"]);
      if (news) say(`Your order: ${one("#status").textContent}`, fresh.dataset.status === "confirmed" ? "done" : "warning");
    } catch {
      // Next time.
    }
  }
};

// --- small things ----------------------------------------------------------------------------------------------------

const billing = () => {
  const same = one("#billing_same");
  const other = one(".billing .other");
  if (!same || !other) return;
  const update = () => {
    other.hidden = same.checked;
  };
  same.addEventListener("change", update);
  update();
};

const filters = () => {
  const box = one("#filters");
  if (box && matchMedia("(min-width: 60rem)").matches) box.open = true;
};

const firstMistake = () => one("[aria-invalid=true]")?.focus();

suggestions();
billing();
filters();
firstMistake();
follow();
