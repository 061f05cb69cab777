// Put into a page of a test's browser: what sticks out or is cut off, and where the Tab key stops.
(() => {
  const STOPS =
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"], audio[controls], video[controls]';
  const MOST_OPEN = 12;
  const ARROW_PX = 24;

  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });
  const nameOf = (element) => {
    const id = element.id ? `#${element.id}` : '';
    const text = (element.textContent || element.getAttribute('aria-label') || '').trim();
    return `<${element.tagName.toLowerCase()}${id}> ${text.replaceAll(/\s+/g, ' ').slice(0, 40)}`;
  };
  const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflowX);
  const isScrolled = (element) => {
    for (let above = element.parentElement; above; above = above.parentElement)
      if (scrolls(above)) return true;
    return false;
  };

  // The text of the choice that is shown, beside the room that it has.
  const isChoiceCut = (select) => {
    const style = getComputedStyle(select);
    const pen = document.createElement('canvas').getContext('2d');
    pen.font = style.font;
    const room =
      select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const text = select.selectedOptions[0]?.textContent.trim() ?? '';
    return pen.measureText(text).width > room - ARROW_PX + 4;
  };

  const look = {
    open() {
      const closed = [...document.querySelectorAll('details:not([open])')].slice(0, MOST_OPEN);
      for (const details of closed) details.open = true;
    },

    wide() {
      const found = [];
      const { scrollWidth } = document.scrollingElement;
      if (scrollWidth > innerWidth) found.push(`${scrollWidth - innerWidth} px too wide`);
      for (const element of document.body.querySelectorAll('*')) {
        if (!isShown(element) || element.closest('.skip, .uplot, svg')) continue;
        const { left, right, width } = element.getBoundingClientRect();
        if (!width) continue;
        const isOut = right > innerWidth + 1 || left < -1;
        if (isOut && !isScrolled(element)) found.push(`sticks out: ${nameOf(element)}`);
        const hides = /hidden|clip/.test(getComputedStyle(element).overflowX);
        if (hides && element.scrollWidth > element.clientWidth + 1)
          found.push(`cut off: ${nameOf(element)}`);
        if (element.tagName === 'SELECT' && isChoiceCut(element))
          found.push(`cut off: ${nameOf(element)}`);
      }
      return found;
    },

    stops: [],
    seen: [],
    faint: [],
    watch() {
      const isInTurn = (element) =>
        isShown(element) && !element.disabled && (element.type !== 'radio' || element.checked);
      look.stops = [...document.querySelectorAll(STOPS)].filter(isInTurn);
      document.addEventListener('focusin', ({ target }) => {
        const turn = look.stops.indexOf(target);
        if (turn < 0 || look.seen.at(-1) === turn) return;
        look.seen.push(turn);
        const { outlineStyle, outlineWidth } = getComputedStyle(target);
        if (outlineStyle === 'none' || parseFloat(outlineWidth) < 2)
          look.faint.push(nameOf(target));
      });
      return look.stops.length;
    },
    isThrough: () => look.seen.includes(look.stops.length - 1),
    /** What the Tab key left out or came to out of turn. */
    astray() {
      const found = look.faint.map((name) => `focus is not to be seen: ${name}`);
      for (const [turn, element] of look.stops.entries()) {
        if (look.seen[turn] === turn) continue;
        found.push(
          `Tab ${look.seen.includes(turn) ? 'comes out of turn to' : 'leaves out'} ${nameOf(element)}`,
        );
        break;
      }
      return found;
    },
  };
  window.look = look;
})();
