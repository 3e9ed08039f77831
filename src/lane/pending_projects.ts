/**
 * Which projects on hold wait for the state of which public key.
 *
 * A project's records may wait for another project's state, so one key may hold several, and one several keys. Some 200
 * bytes a key; there are never more of them than projects with records on disk.
 */
export class PendingProjects {
  readonly #byKey = new Map<string, Set<number>>();

  /** Notes that the records of a project wait for the state of `key`. */
  add(key: string, projectHash: number): void {
    const waiting = this.#byKey.get(key);
    if (waiting) waiting.add(projectHash);
    else this.#byKey.set(key, new Set([projectHash]));
  }

  /** Takes out the projects that wait for keys that are no longer pending; the other keys are passed to `onPending`. */
  takeKnown(isPending: (key: string) => boolean, onPending: (key: string) => void): number[] {
    const known: number[] = [];
    for (const [key, projects] of this.#byKey) {
      if (isPending(key)) {
        onPending(key);
        continue;
      }
      this.#byKey.delete(key);
      known.push(...projects);
    }
    return known;
  }

  /** Forgets the keys for which nothing is on hold any more. */
  prune(isOnHold: (projectHash: number) => boolean): void {
    for (const [key, projects] of this.#byKey) {
      for (const project of projects) if (!isOnHold(project)) projects.delete(project);
      if (projects.size === 0) this.#byKey.delete(key);
    }
  }
}
