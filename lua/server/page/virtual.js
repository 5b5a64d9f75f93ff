// A long list of which only the rows that are seen exist.
import { h } from "./dom.js";

// `render(index)` gives a row's element; all rows are `height` pixels high. The list is moved through by its own
// scrollbar. Options: role of the list and of rows, label, class; follow: stays at the end while it is there.
export function virtual({ height, render, label, role = "list", rowRole = "listitem", class: kind, follow = false }) {
  const space = h("div", { class: "virtual-space", role: "presentation" });
  const box = h("div", { class: "virtual" + (kind ? " " + kind : ""), role, "aria-label": label, tabindex: "0" }, space);
  let total = 0, shown = new Map(), frame = null, atEnd = true;

  function place() {
    frame = null;
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 6);
    const last = Math.min(total, Math.ceil((box.scrollTop + box.clientHeight) / height) + 6);
    for (const [index, row] of shown) if (index < first || index >= last) { row.remove(); shown.delete(index); }
    for (let index = first; index < last; index++) {
      if (shown.has(index)) continue;
      const row = render(index);
      row.classList.add("virtual-row");
      row.setAttribute("role", rowRole);
      if (rowRole === "row") row.setAttribute("aria-rowindex", index + 1);
      else if (rowRole === "listitem") { row.setAttribute("aria-posinset", index + 1); row.setAttribute("aria-setsize", total); }
      row.style.top = index * height + "px";
      row.style.height = height + "px";
      // Rows stand in the document in their order: keys and readers go by that.
      let after = null;
      for (const [other, element] of shown) if (other > index && (!after || other < after[0])) after = [other, element];
      space.insertBefore(row, after ? after[1] : null);
      shown.set(index, row);
    }
  }
  // What has the focus is drawn anew with the rest: the focus stays with the same row.
  const focusedKey = () => box.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  function refocus(key) {
    const again = key !== undefined && box.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (again) again.focus({ preventScroll: true });
  }
  const soon = () => { if (frame === null) frame = requestAnimationFrame(place); };
  box.addEventListener("scroll", () => {
    atEnd = box.scrollTop + box.clientHeight >= space.offsetHeight - height;
    soon();
  });
  new ResizeObserver(soon).observe(box);

  return {
    element: box,
    // So many rows there are now. Those that are shown are drawn anew unless only rows at the end have come.
    set(n, { grown = false } = {}) {
      const key = focusedKey();
      if (!grown) {
        for (const row of shown.values()) row.remove();
        shown = new Map();
      }
      total = n;
      if (rowRole === "row") box.setAttribute("aria-rowcount", n);
      space.style.height = n * height + "px";
      if (follow && atEnd) box.scrollTop = n * height;
      if (key === undefined) return soon();
      place();
      refocus(key);
    },
    // One row has changed.
    touch(index) {
      const row = shown.get(index);
      if (!row) return;
      const key = focusedKey();
      row.remove();
      shown.delete(index);
      place();
      refocus(key);
    },
    reveal(index) {
      if (index * height < box.scrollTop || (index + 1) * height > box.scrollTop + box.clientHeight)
        box.scrollTop = index * height - box.clientHeight / 2;
      place();
    },
    row: index => shown.get(index),
    toEnd() { atEnd = true; box.scrollTop = total * height; },
  };
}
