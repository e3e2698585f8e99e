// How large the infrastructure is: what `crossbook plan --cdk` writes.

const FIELDS = {
  zones: 'number',
  nodeType: 'string',
  nodesPerZone: 'number',
  store: 'string',
  shards: 'number',
  replicas: 'number',
  database: 'string',
  databaseGb: 'number',
  snapshotDays: 'number',
};

// The context with everything checked.
export function read(context) {
  if (!context) {
    throw new Error('there is no context `crossbook`: write one with `crossbook plan --tps 5000 --cdk context.json`');
  }
  for (const [name, type] of Object.entries(FIELDS)) {
    if (typeof context[name] !== type) {
      throw new Error(`crossbook.${name} is ${JSON.stringify(context[name])}, and must be a ${type}`);
    }
  }
  if (context.store === 'memorydb' && typeof context.storeNode !== 'string') {
    throw new Error('crossbook.storeNode is missing: the type of the nodes of MemoryDB');
  }
  return context;
}
