/** What is sold, by its path: what it takes, what it answers, and an example that works with the models of this server. */
import { z } from 'zod';
import { taskView } from '../tasks/reading.ts';
import {
  backgroundBody,
  editBody,
  generateBody,
  generationsBody,
  multiEditBody,
  upscaleBody,
} from '../venice/image-bodies.ts';
import { queueAudioBody, queueVideoBody } from '../venice/queue-bodies.ts';
import { type Described, EVENTS, FORM, JSON_TYPE } from './described.ts';
import {
  chatBody,
  embeddingsBody,
  imagesBody,
  linkBody,
  messagesBody,
  musicBody,
  presetBody,
  responsesBody,
  speechBody,
  transcriptionForm,
  videosBody,
} from './sale-bodies.ts';

const EITHER = [JSON_TYPE, FORM];
const usage = z.looseObject({}).nullish();
/** One pixel. */
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg==';
const HELLO = [{ role: 'user', content: 'Say hello.' }];
const FOX = { prompt: 'A red fox in the snow.' };

const chat: Described = {
  summary: 'A chat completion, whole or streamed',
  body: chatBody,
  answer: z.looseObject({
    id: z.string(),
    object: z.literal('chat.completion'),
    model: z.string(),
    choices: z.array(z.looseObject({ index: z.int(), message: z.looseObject({}) })),
    usage,
  }),
  answerTypes: [EVENTS],
  types: ['text'],
  example: { messages: HELLO, max_tokens: 50 },
  answerExample: { object: 'chat.completion', choices: [{ message: { content: 'Hello!' } }] },
};

const responses: Described = {
  summary: 'A response in the shape of OpenAI’s Responses API, whole or streamed',
  body: responsesBody,
  answer: z.looseObject({
    id: z.string(),
    object: z.literal('response'),
    output: z.array(z.any()),
  }),
  answerTypes: [EVENTS],
  types: ['text'],
  example: { input: 'Say hello.', max_output_tokens: 50 },
};

const messages: Described = {
  summary: 'A message in Anthropic’s shape, whole or streamed',
  body: messagesBody,
  answer: z.looseObject({ type: z.literal('message'), content: z.array(z.looseObject({})), usage }),
  answerTypes: [EVENTS],
  types: ['text'],
  example: { max_tokens: 50, messages: HELLO },
};

const embeddings: Described = {
  summary: 'Embeddings of texts',
  body: embeddingsBody,
  answer: z.looseObject({
    object: z.literal('list'),
    data: z.array(z.looseObject({ index: z.int() })),
    usage,
  }),
  types: ['embedding'],
  example: { input: 'A red fox.' },
};

const speech: Described = {
  summary: 'Speech from a text; the answer is the sound as it comes',
  body: speechBody,
  answer: null,
  answerTypes: ['audio/*'],
  types: ['tts'],
  example: { input: 'Hello.' },
};

const transcription: Described = {
  summary: 'A transcription of one recording, whole or streamed',
  body: transcriptionForm,
  bodyTypes: [FORM],
  answer: z.looseObject({ text: z.string() }),
  answerTypes: ['text/plain', EVENTS],
  types: ['stt'],
};

const video: Described = {
  summary: 'A video, as a task',
  body: videosBody,
  bodyTypes: EITHER,
  answer: taskView,
  types: ['video'],
  example: FOX,
};
const music: Described = {
  summary: 'Music or a sound, as a task',
  body: musicBody,
  bodyTypes: EITHER,
  answer: taskView,
  types: ['music', 'sound'],
  example: { prompt: 'A slow waltz.' },
};
const openAiImages = z.looseObject({
  created: z.int(),
  data: z.array(z.looseObject({ url: z.string().optional(), b64_json: z.string().optional() })),
});
const images: Described = {
  summary: 'Images, as a task; with `Prefer: wait=60` the images themselves, in OpenAI’s shape',
  body: imagesBody,
  bodyTypes: EITHER,
  answer: z.union([taskView, openAiImages]),
  types: ['image', 'image_edit'],
  example: FOX,
};
const edits: Described = {
  ...images,
  summary: 'Edited images, as a task; with `Prefer: wait=60` the images themselves',
  types: ['image_edit'],
  example: { ...FOX, image: PIXEL },
};

const bytes = { answer: null, answerTypes: ['image/*'], bodyTypes: EITHER };
const queued = z.looseObject({ model: z.string(), queue_id: z.string() });

const venice: Record<string, Described> = {
  '/api/v1/image/generate': {
    summary: 'Images, in one request (Venice)',
    body: generateBody,
    bodyTypes: EITHER,
    answer: z.looseObject({ id: z.string(), images: z.array(z.string()) }),
    answerTypes: ['image/*'],
    types: ['image'],
    example: FOX,
  },
  '/api/v1/images/generations': {
    summary: 'One image, in OpenAI’s shape (Venice)',
    body: generationsBody,
    bodyTypes: EITHER,
    answer: openAiImages,
    types: ['image'],
    example: FOX,
  },
  '/api/v1/image/upscale': {
    summary: 'A larger image (Venice)',
    body: upscaleBody,
    ...bytes,
    types: ['upscale'],
    example: { image: PIXEL },
  },
  '/api/v1/image/edit': {
    summary: 'An edited image (Venice)',
    body: editBody,
    ...bytes,
    types: ['image_edit'],
    example: { ...FOX, image: PIXEL },
  },
  '/api/v1/image/multi-edit': {
    summary: 'One image made of several (Venice)',
    body: multiEditBody,
    ...bytes,
    types: ['image_edit'],
    example: { ...FOX, images: [PIXEL] },
  },
  '/api/v1/image/background-remove': {
    summary: 'An image without its background (Venice)',
    body: backgroundBody,
    ...bytes,
    types: ['background_remove'],
    example: { image: PIXEL },
  },
  '/api/v1/video/queue': {
    summary: 'A video, queued; POST /api/v1/video/retrieve fetches it (Venice)',
    body: queueVideoBody,
    bodyTypes: EITHER,
    answer: queued,
    types: ['video'],
    example: FOX,
  },
  '/api/v1/audio/queue': {
    summary: 'Music or a sound, queued; POST /api/v1/audio/retrieve fetches it (Venice)',
    body: queueAudioBody,
    bodyTypes: EITHER,
    answer: queued,
    types: ['music', 'sound'],
    example: { prompt: 'A slow waltz.' },
  },
  '/api/v1/video/transcriptions': {
    summary: 'A transcription of a video by its link (Venice)',
    body: linkBody,
    answer: z.looseObject({}),
    answerTypes: ['text/plain'],
    types: ['stt'],
    example: { url: 'https://example.com/talk.mp4' },
  },
};

/** Of POST routes, by the router's path. */
export const SALES: Readonly<Record<string, Described>> = {
  '/v1/chat/completions': chat,
  '/api/v1/chat/completions': chat,
  '/api/chat': chat,
  '/v1/responses': responses,
  '/api/v1/responses': responses,
  '/v1/messages': messages,
  '/v1/embeddings': embeddings,
  '/api/v1/embeddings': embeddings,
  '/v1/audio/speech': speech,
  '/api/v1/audio/speech': speech,
  '/v1/audio/transcriptions': transcription,
  '/api/v1/audio/transcriptions': transcription,
  '/v1/images/generations': images,
  '/v1/images/edits': edits,
  '/v1/videos': video,
  '/v1/music/generations': music,
  '/api/v1/media/images': images,
  '/api/v1/media/videos': video,
  '/api/v1/media/music': music,
  ...venice,
  '/api/v1/fashion/:preset': {
    summary: 'A task from a preset; GET /api/v1/fashion lists them and their inputs',
    body: presetBody,
    bodyTypes: EITHER,
    answer: z.union([taskView, openAiImages]),
    example: { person: PIXEL, garment: PIXEL },
  },
};
