/** What a process can be asked, by name. */
export type Questions = Readonly<
  Record<string, { readonly ask: unknown; readonly answer: unknown }>
>;

/** How a process answers: one question at a time, each once. */
export type Handlers<Q extends Questions> = {
  readonly [Name in keyof Q]: (ask: Q[Name]['ask']) => Promise<Q[Name]['answer']>;
};

export type WorkerQuestion =
  | { readonly name: string; readonly ask: unknown }
  | { readonly name: null };

export type WorkerReply = { readonly answer: unknown } | { readonly error: string };

/**
 * The inside of a process that a benchmark started: answers its questions until it is told to end, then calls `close` and
 * exits; exits at once when the benchmark is gone.
 */
export function answerQuestions<Q extends Questions>(
  handlers: Handlers<Q>,
  close: () => Promise<void>,
): void {
  const reply = (message: WorkerReply, last = false): void => {
    process.send?.(message, () => {
      if (last) process.exit(0);
    });
  };
  const act = async (question: WorkerQuestion): Promise<unknown> => {
    if (question.name === null) return close();
    const handler = handlers[question.name];
    if (handler === undefined) throw new TypeError(`question '${question.name}' is unknown`);
    return handler(question.ask);
  };
  process.on('message', (question: WorkerQuestion) => {
    act(question).then(
      (answer) => reply({ answer: answer ?? null }, question.name === null),
      (error: Error) => reply({ error: error.stack ?? String(error) }),
    );
  });
  process.on('disconnect', () => process.exit(1));
  reply({ answer: null });
}
