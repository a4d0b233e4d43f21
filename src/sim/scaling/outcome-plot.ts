import type { SecondFigures } from './swarm-record.ts';

const WIDTH = 900;
const HEIGHT = 160;
const LEFT = 60;
const MAX_POINTS = 900;

/** One curve: what it is called, its colour and its value in each second. */
export interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly of: (second: SecondFigures) => number;
}

export interface PlotSection {
  readonly title: string;
  /** What was simulated, in a sentence. */
  readonly note: string;
  readonly seconds: readonly SecondFigures[];
}

interface Chart {
  readonly title: string;
  readonly curves: readonly Curve[];
}

/** Load, replicas, latency and cost over time. */
const CHARTS: readonly Chart[] = [
  {
    title: 'requests a second',
    curves: [
      { name: 'asked', colour: '#2563eb', of: ({ offered }) => offered },
      { name: 'answered', colour: '#16a34a', of: ({ answered }) => answered },
      { name: 'failed', colour: '#dc2626', of: ({ failed }) => failed },
    ],
  },
  {
    title: 'replicas, and with them what they cost',
    curves: [
      { name: 'desired', colour: '#9ca3af', of: ({ desired }) => desired },
      { name: 'in memory', colour: '#f59e0b', of: ({ ready, loading }) => ready + loading },
      { name: 'ready', colour: '#16a34a', of: ({ ready }) => ready },
    ],
  },
  {
    title: 'latency by the second in which requests came, ms',
    curves: [
      { name: 'p50', colour: '#2563eb', of: ({ p50Ms }) => p50Ms },
      { name: 'p99', colour: '#dc2626', of: ({ p99Ms }) => p99Ms },
    ],
  },
];

/** A page that needs nothing but itself. */
export function plotOutcomes(title: string, sections: readonly PlotSection[]): string {
  const body = sections
    .map(({ title: name, note, seconds }) => {
      const charts = CHARTS.map((chart) => plotChart(chart, seconds)).join('\n');
      return `<h2>${escaped(name)}</h2>\n<p>${escaped(note)}</p>\n${charts}`;
    })
    .join('\n');
  const style =
    'body{font:14px system-ui;margin:2em auto;max-width:980px}svg{display:block;margin:.5em 0 1em}text{font-size:11px}';
  return `<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title><style>${style}</style>\n<h1>${escaped(title)}</h1>\n${body}\n</html>\n`;
}

function plotChart({ title, curves }: Chart, seconds: readonly SecondFigures[]): string {
  const step = Math.max(1, Math.ceil(seconds.length / MAX_POINTS));
  const shown = seconds.filter((_, index) => index % step === 0);
  const most = Math.max(1, ...shown.flatMap((second) => curves.map(({ of }) => of(second))));
  const x = (index: number): number => LEFT + (index / Math.max(1, shown.length - 1)) * WIDTH;
  const y = (value: number): number => 20 + HEIGHT * (1 - value / most);
  const lines = curves.map(({ colour, of }) => {
    const points = shown.map(
      (second, index) => `${x(index).toFixed(1)},${y(of(second)).toFixed(1)}`,
    );
    return `<polyline fill="none" stroke="${colour}" points="${points.join(' ')}"/>`;
  });
  const legend = curves.map(({ name, colour }, index) => {
    return `<text x="${LEFT + 330 + 110 * index}" y="12" fill="${colour}">${escaped(name)}</text>`;
  });
  const lastS = Math.round((seconds.at(-1)?.atMs ?? 0) / 1_000);
  const axes = [
    `<text x="${LEFT}" y="12">${escaped(title)}</text>`,
    `<text x="0" y="28">${Number(most.toPrecision(3))}</text><text x="0" y="${HEIGHT + 20}">0</text>`,
    `<path stroke="#ccc" fill="none" d="M${LEFT},20V${HEIGHT + 20}H${LEFT + WIDTH}"/>`,
    `<text x="${LEFT}" y="${HEIGHT + 34}">0 s</text><text x="${LEFT + WIDTH - 50}" y="${HEIGHT + 34}">${lastS} s</text>`,
  ];
  const parts = [...axes, ...legend, ...lines].join('');
  return `<svg viewBox="0 0 ${LEFT + WIDTH} ${HEIGHT + 40}">${parts}</svg>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
