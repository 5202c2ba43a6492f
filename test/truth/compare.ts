/** Holds what the analyser says of a folder against what its execution showed. Pure. */
import { blocking, type Effect, effects, type Observation } from './observation.ts';

export interface Violation {
  readonly rule: string;
  readonly severity: string;
  readonly effect: string | null;
  readonly table: string | null;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly remedy: string;
}

export interface AnalysedMigration {
  readonly name: string;
  readonly verdict: 'safe' | 'caution' | 'dangerous';
  readonly effects: readonly string[];
  readonly violations: readonly Violation[];
}

export interface Analysis {
  readonly migrations: readonly AnalysedMigration[];
}

export const classes = [...blocking, 'blocks', 'dataLoss'] as const;
export type Class = (typeof classes)[number];

export interface Score {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  /** Null where nothing was claimed. */
  readonly precision: number | null;
  /** Null where nothing happened. */
  readonly recall: number | null;
}

export interface Disagreement {
  readonly name: string;
  /** Effects that happened and were not told. */
  readonly missed: readonly Effect[];
  /** Effects that were told and did not happen. */
  readonly invented: readonly Effect[];
  readonly observation: Observation;
  readonly analysed: AnalysedMigration;
}

export interface Comparison {
  /** Migrations that the figures are about. */
  readonly compared: number;
  readonly scores: Readonly<Record<Class, Score>>;
  readonly disagreements: readonly Disagreement[];
  readonly harmless: {
    readonly total: number;
    readonly safe: number;
    readonly notSafe: readonly AnalysedMigration[];
  };
  /** Left out: they could not be applied. */
  readonly failed: readonly Observation[];
  /** Left out: the analysis does not know them. */
  readonly unknown: readonly string[];
}

interface Pair {
  readonly observation: Observation;
  readonly analysed: AnalysedMigration;
}

export function compare(observations: readonly Observation[], analysis: Analysis): Comparison {
  const byName = new Map(analysis.migrations.map((migration) => [migration.name, migration]));
  const applied = observations.filter(({ outcome }) => outcome !== 'failed');
  const pairs = applied.flatMap((observation): Pair[] => {
    const analysed = byName.get(observation.name);
    return analysed === undefined ? [] : [{ observation, analysed }];
  });
  const harmless = pairs.filter(({ observation }) => observation.harmless).map(({ analysed }) => analysed);
  return {
    compared: pairs.length,
    scores: Object.fromEntries(classes.map((name) => [name, scoreOf(pairs, name)])) as Record<Class, Score>,
    disagreements: pairs.flatMap(disagreementOf),
    harmless: {
      total: harmless.length,
      safe: harmless.filter(({ verdict }) => verdict === 'safe').length,
      notSafe: harmless.filter(({ verdict }) => verdict !== 'safe'),
    },
    failed: observations.filter(({ outcome }) => outcome === 'failed'),
    unknown: applied.map(({ name }) => name).filter((name) => !byName.has(name)),
  };
}

function scoreOf(pairs: readonly Pair[], name: Class): Score {
  const has = (list: readonly string[]): boolean =>
    name === 'blocks' ? blocking.some((effect) => list.includes(effect)) : list.includes(name);
  const count = (happened: boolean, told: boolean): number =>
    pairs.filter(
      ({ observation, analysed }) => has(observation.effects) === happened && has(analysed.effects) === told,
    ).length;
  const [truePositives, falsePositives, falseNegatives] = [
    count(true, true),
    count(false, true),
    count(true, false),
  ];
  return {
    truePositives,
    falsePositives,
    falseNegatives,
    precision: share(truePositives, falsePositives),
    recall: share(truePositives, falseNegatives),
  };
}

const share = (right: number, wrong: number): number | null =>
  right + wrong === 0 ? null : right / (right + wrong);

function disagreementOf({ observation, analysed }: Pair): Disagreement[] {
  const happened = new Set<string>(observation.effects);
  const told = new Set(analysed.effects);
  const missed = effects.filter((effect) => happened.has(effect) && !told.has(effect));
  const invented = effects.filter((effect) => !happened.has(effect) && told.has(effect));
  return missed.length + invented.length === 0
    ? []
    : [{ name: observation.name, missed, invented, observation, analysed }];
}
