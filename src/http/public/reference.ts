/** GET /reference: the OpenAPI document as one page, without a script. */
import { JSON_TYPE } from '../discovery/described.ts';
import type { Made, Site } from '../discovery/kept.ts';
import { openapiDocument, TAGS } from '../discovery/openapi.ts';
import type { Schema } from '../discovery/schemas.ts';
import { html, type Html } from '../page/html.ts';
import { HTML_TYPE, layout, SECURITY } from './layout.ts';

interface Described {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema; example?: unknown }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Schema }> }>;
}

type Entry = [method: string, path: string, Described];

export function reference(site: Site): Made {
  const { paths } = openapiDocument(site) as { paths: Record<string, Record<string, Described>> };
  const entries = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]): Entry => [method, path, described]),
  );
  const groups = TAGS.map((tag): [string, Entry[]] => [
    tag,
    entries.filter(([, , { tags }]) => tags.includes(tag)),
  ]);
  const main = html`<p>
      Every route of this server, from <a href="/openapi.json">/openapi.json</a>. How to pay and to
      sign in: <a href="/auth.md">/auth.md</a>.
    </p>
    <ul>
      ${groups.map(([tag, list]) => html`<li><a href="#${tag}">${tag}</a> (${list.length})</li>`)}
    </ul>
    ${groups.map(
      ([tag, list]) =>
        html`<h2 id="${tag}">${tag}</h2>
          ${list.map(shown)}`,
    )}`;
  return { type: HTML_TYPE, text: layout('Reference', main), headers: SECURITY };
}

function shown([method, path, described]: Entry): Html {
  const { operationId, summary, description, parameters, requestBody, responses } = described;
  const [[type, body] = [null, null]] = Object.entries(requestBody?.content ?? {});
  const example = requestBody?.content[JSON_TYPE]?.example;
  return html`<details id="${operationId}">
    <summary><span class="method">${method}</span> <code>${path}</code> ${summary}</summary>
    ${description !== undefined && html`<p class="quiet">${description}</p>`}
    ${parameters.length > 0 && fields('Parameters', parameters.map(parameter))}
    ${body !== null && fields(`Body (${type})`, members(body.schema))}
    ${example !== undefined && html`<pre tabindex="0"><code>${JSON.stringify(example, null, 2)}</code></pre>`}
    <h3>Answers</h3>
    <ul>
      ${Object.entries(responses).map(
        ([status, answer]) =>
          html`<li>
            <code>${status}</code> ${answer.description}
            <span class="quiet">${Object.keys(answer.content ?? {}).join(', ')}</span>
          </li>`,
      )}
    </ul>
  </details>`;
}

interface Field {
  name: string;
  type: string;
  about: string;
}

function fields(title: string, list: readonly Field[]): Html | false {
  if (!list.length) return false;
  return html`<h3>${title}</h3>
    <div class="scroll" tabindex="0" role="region" aria-label="${title}">
      <table>
        <tbody>
          ${list.map(
            ({ name, type, about }) =>
              html`<tr>
                <th scope="row"><code>${name}</code></th>
                <td>${type}</td>
                <td>${about}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

function parameter({ name, in: place, required, schema }: Described['parameters'][number]): Field {
  const about = [place, ...(required ? ['required'] : []), aboutOf(schema)];
  return { name, type: typeOf(schema), about: about.filter((text) => text !== '').join(', ') };
}

function members(schema: Schema): Field[] {
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, each]) => ({
    name,
    type: typeOf(each),
    about: [...(required.includes(name) ? ['required'] : []), aboutOf(each)]
      .filter((text) => text !== '')
      .join(', '),
  }));
}

function typeOf(schema: Schema): string {
  const {
    type,
    anyOf,
    enum: choices,
    const: only,
  } = schema as {
    type?: string;
    anyOf?: Schema[];
    enum?: unknown[];
    const?: unknown;
  };
  if (choices) return choices.map((choice) => JSON.stringify(choice)).join(' | ');
  if (only !== undefined) return JSON.stringify(only);
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' | ');
  if (type === 'array' && 'items' in schema) return `list of ${typeOf(schema['items'] as Schema)}`;
  return type ?? 'any';
}

function aboutOf(schema: Schema): string {
  const { description, minimum, maximum, maxLength } = schema;
  return [
    typeof description === 'string' ? description : '',
    typeof minimum === 'number' ? `from ${minimum}` : '',
    typeof maximum === 'number' && maximum < Number.MAX_SAFE_INTEGER ? `to ${maximum}` : '',
    typeof maxLength === 'number' ? `up to ${maxLength} characters` : '',
  ]
    .filter((text) => text !== '')
    .join(', ');
}
