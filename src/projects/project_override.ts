/**
 * A project file of this node laid over what the upstream says of the project (mode `managed`), field by field.
 *
 * What the file does not say stays as fetched. Lists are taken whole; of `filterSettings` each filter is a field. Ids are
 * the upstream's, where it names them, and quotas are matched against those.
 */
import { type ProjectDocument, type ProjectState, projectStates } from "./project_state.ts";

/** What a file says. Plain data. */
export interface ProjectOverride {
  readonly projectId: string;
  readonly document: ProjectDocument;
  /** Names of the fields the file has: of the document, of `config`, and of its `filterSettings`. */
  readonly said: readonly string[];
}

/** @param raw the document as it was written, without defaults */
export function projectOverride(
  raw: unknown,
  document: ProjectDocument,
  projectId: string,
): ProjectOverride {
  const { config } = raw as { config?: { filterSettings?: object } };
  const said = [raw, config, config?.filterSettings].flatMap((part) => Object.keys(part ?? {}));
  return { projectId, document, said };
}

/** State of `key`; of a key that was not fetched yet, only whether the file closes it. */
export function overridden(
  key: string,
  fetched: ProjectState | null,
  { projectId, document, said }: ProjectOverride,
): ProjectState | null {
  const entry = document.publicKeys.find(({ publicKey }) => publicKey === key)!;
  const ids = {
    projectId: fetched?.projectId ?? projectId,
    organizationId: fetched?.organizationId ?? document.organizationId,
  };
  const publicKeys = [{ ...entry, numericId: fetched?.keyId ?? entry.numericId }];
  const own = projectStates({ ...document, ...ids, publicKeys }, ids.projectId)[0]![1];
  if (fetched === null) return own.disabled ? own : null;
  const says = (...names: string[]): boolean => names.some((name) => said.includes(name));
  const { blockingQuotas, countedQuotas } = says("quotas") ? own : fetched;
  const filters = Object.entries(own.filters ?? {}).filter(([name]) => says(name));
  return {
    ...own,
    disabled: says("disabled") || !entry.isEnabled ? own.disabled : fetched.disabled,
    allowedDomains: (says("allowedDomains") ? own : fetched).allowedDomains,
    blockingQuotas,
    countedQuotas,
    features: (says("features") ? own : fetched).features,
    filters: filters.length > 0 ? { ...fetched.filters, ...Object.fromEntries(filters) } : fetched.filters,
    sampling: (says("sampling", "dynamicSampling") ? own : fetched).sampling,
    trustedSenders: (says("trustedRelaySettings") ? own : fetched).trustedSenders,
  };
}
