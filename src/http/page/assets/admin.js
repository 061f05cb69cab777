// The pages work without this: it shows times in the reader's own zone, draws plots, asks before what cannot be undone, sends the form
// token with htmx, and keeps figures fresh.
(() => {
  const csrf = document.querySelector('meta[name=csrf]')?.content ?? '';

  const dress = (root) => {
    for (const element of root.querySelectorAll('time[datetime]')) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      element.title = element.dateTime;
      element.textContent = at.toLocaleString(undefined, {
        dateStyle: 'medium',
        timeStyle: 'medium',
      });
    }
    for (const element of root.querySelectorAll('[data-plot]')) draw(element);
    for (const element of root.querySelectorAll('pre[data-copy]')) offerCopy(element);
  };

  // Browsers give the clipboard to pages over https and of this machine alone.
  const offerCopy = (element) => {
    if (element.dataset.copy || !navigator.clipboard) return;
    element.dataset.copy = 'offered';
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = 'Copy';
    const say = (text) => () => {
      button.textContent = text;
    };
    button.addEventListener('click', () => {
      const written = navigator.clipboard.writeText(element.textContent);
      void written.then(say('Copied'), say('Select it and copy'));
    });
    element.before(button);
  };

  // {"x":[unix seconds],"series":[{"label":"…","values":[…]}],"money":true}
  const draw = (element) => {
    if (element.dataset.drawn || typeof uPlot !== 'function') return;
    element.dataset.drawn = 'yes';
    const { x, series, money } = JSON.parse(element.dataset.plot);
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue('--soft').trim();
    const line = style.getPropertyValue('--line').trim();
    const colours = ['--accent', '--plot-2', '--plot-3', '--plot-4', '--plot-5'].map((name) =>
      style.getPropertyValue(name).trim(),
    );
    // Days are those of UTC, as in the tables.
    const day = (seconds) =>
      new Date(seconds * 1_000).toLocaleDateString(undefined, {
        day: 'numeric',
        month: 'short',
        timeZone: 'UTC',
      });
    const cents = { minimumFractionDigits: 2, maximumFractionDigits: 6 };
    const show = (_u, value) => {
      if (value == null) return '–';
      return money ? `$${value.toLocaleString('en', cents)}` : String(value);
    };
    const axis = { stroke: ink, grid: { stroke: line }, ticks: { stroke: line } };
    const { paddingLeft, paddingRight } = getComputedStyle(element);
    const inset = parseFloat(paddingLeft) + parseFloat(paddingRight);
    const width = () => Math.max(240, element.clientWidth - inset);
    const plot = new uPlot(
      {
        width: width(),
        height: 240,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC'),
        series: [
          { label: 'Day', value: (_u, at) => (at == null ? '–' : day(at)) },
          ...series.map(({ label }, n) => ({
            label,
            stroke: colours[n % colours.length],
            width: 2,
            value: show,
            points: { show: x.length < 40 },
          })),
        ],
        axes: [
          { ...axis, values: (_u, days) => days.map(day) },
          { ...axis, size: 64, values: (_u, values) => values.map((value) => show(_u, value)) },
        ],
      },
      [x, ...series.map(({ values }) => values)],
      element,
    );
    addEventListener('resize', () => plot.setSize({ width: width(), height: 240 }));
  };

  document.addEventListener('submit', (event) => {
    const question = event.target.dataset?.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
  document.addEventListener('htmx:config:request', (event) => {
    const { request } = event.detail.ctx ?? {};
    if (request?.headers) request.headers['X-CSRF-Token'] = csrf;
  });
  document.addEventListener('htmx:after:swap', () => dress(document));

  const live = document.querySelector('[data-live]');
  if (live && typeof EventSource === 'function') {
    const source = new EventSource(live.dataset.live);
    source.addEventListener('figures', (event) => {
      const figures = JSON.parse(event.data);
      for (const element of document.querySelectorAll('[data-figure]')) {
        const value = figures[element.dataset.figure];
        if (typeof value === 'string' && element.textContent !== value) element.textContent = value;
      }
    });
    // What it came to is on the page itself.
    source.addEventListener('done', () => {
      source.close();
      location.reload();
    });
    addEventListener('pagehide', () => source.close());
  }
  dress(document);
  // On a phone the menu is wider than the window.
  const here = document.querySelector('header nav [aria-current]');
  here?.closest('nav').scrollTo({ left: here.offsetLeft - 16 });
})();
