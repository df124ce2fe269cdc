// Emits GenAI spans by the SDK of OpenTelemetry for JavaScript, and with them the metrics and the log records that say the
// same again; prints what it told, a line of JSON for each agent.
//
// Where to, by which protocol and which of the three is said by the environment alone (OTEL_…), as in any program. The module
// @opentelemetry/sdk-node is looked for in TAXIMETER_NODE_MODULES.
import { createRequire } from "node:module";
import { join } from "node:path";

const modules = createRequire(join(process.env.TAXIMETER_NODE_MODULES, "none.js"));
const { NodeSDK, api } = modules("@opentelemetry/sdk-node");
const { logs, SeverityNumber } = modules("@opentelemetry/api-logs");
const { SpanKind, SpanStatusCode } = api;

const sdk = new NodeSDK({ serviceName: "emitter", instrumentations: [] });
sdk.start();
const tracer = api.trace.getTracer("emitter", "1.0");
const logger = logs.getLogger("emitter", "1.0");
const meter = api.metrics.getMeter("emitter", "1.0");
const tokens = meter.createHistogram("gen_ai.client.token.usage", { unit: "{token}" });

const step = (name, kind, attributes, within) =>
  tracer.startActiveSpan(name, { kind, attributes }, (span) => {
    within(span);
    span.end();
  });

for (let number = 0; number < 50; number++) {
  const told = {
    input: 1000 + number,
    output: 10 + number,
    cost: (1000 + number) / 1_000_000,
    tools: 1,
    failed_tools: Number(number % 5 === 0),
  };
  const agent = { "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper" };
  const tool = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search" };
  const asked = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
  };
  const call = {
    ...asked,
    "gen_ai.response.id": `chatcmpl-${number}`,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": told.input,
    "gen_ai.usage.output_tokens": told.output,
    "gen_ai.usage.cache_read.input_tokens": 100,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "gen_ai.usage.cost": told.cost,
  };
  step("invoke_agent helper", SpanKind.INTERNAL, agent, (span) => {
    step("execute_tool search", SpanKind.INTERNAL, tool, (span) => {
      if (told.failed_tools) {
        span.setAttribute("error.type", "TimeoutError");
        span.setStatus({ code: SpanStatusCode.ERROR, message: "too slow" });
      }
    });
    step("chat gpt-4o", SpanKind.CLIENT, call, () => {
      const eventName = "gen_ai.client.inference.operation.details";
      logger.emit({ eventName, severityNumber: SeverityNumber.INFO, attributes: call });
    });
    tokens.record(told.input, { ...asked, "gen_ai.token.type": "input" });
    tokens.record(told.output, { ...asked, "gen_ai.token.type": "output" });
    console.log(JSON.stringify({ trace: span.spanContext().traceId, ...told }));
  });
}
await sdk.shutdown();
