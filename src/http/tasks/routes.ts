/** Everything about tasks, in both dialects. */
import type { Tasks } from '../../tasks/tasks.ts';
import type { Step } from '../in-turn.ts';
import type { Operation } from '../operation.ts';
import { payable } from '../payable.ts';
import { followAll, followOne, type FollowOptions } from './following.ts';
import { makeAndWait, makeTask, type MakingOptions } from './making.ts';
import { cancelTask, getTask, listTasks } from './reading.ts';
import { type Shop, taskOffer } from './selling.ts';

export interface TaskRoutesOptions extends MakingOptions, FollowOptions {
  tasks: Tasks;
}

/** What sells tasks: two steps each, who pays and what is made. */
export function taskShops(options: TaskRoutesOptions): [path: string, paid: Step, make: Step][] {
  const { tasks } = options;
  const images: Shop = {
    tasks,
    types: ['image', 'image_edit'],
    description: 'Images, as a task',
  };
  const videos: Shop = { tasks, types: ['video'], description: 'A video, as a task' };
  const music: Shop = { tasks, types: ['music', 'sound'], description: 'Music, as a task' };
  const imagesPaid = payable(options, taskOffer(images));
  const videosPaid = payable(options, taskOffer(videos));
  const musicPaid = payable(options, taskOffer(music));
  const makeImages = makeAndWait(images, options);
  const makeVideo = makeTask(videos, options);
  const makeMusic = makeTask(music, options);
  return [
    ['/v1/images/generations', imagesPaid, makeImages],
    ['/v1/images/edits', imagesPaid, makeImages],
    ['/v1/videos', videosPaid, makeVideo],
    ['/v1/music/generations', musicPaid, makeMusic],
    ['/api/v1/media/images', imagesPaid, makeImages],
    ['/api/v1/media/videos', videosPaid, makeVideo],
    ['/api/v1/media/music', musicPaid, makeMusic],
  ];
}

type TaskRoute = ['get' | 'delete', path: string, Operation];

export function taskRoutes(options: TaskRoutesOptions): TaskRoute[] {
  const get = getTask(options);
  const list = listTasks(options);
  const cancel = cancelTask(options);
  return [
    ['get', '/v1/tasks', list],
    ['get', '/v1/tasks/:id', get],
    ['delete', '/v1/tasks/:id', cancel],
    ['get', '/v1/tasks/:id/events', followOne(options)],
    ['get', '/v1/events', followAll(options)],
    ['get', '/api/v1/media/tasks', list],
    ['get', '/api/v1/media/tasks/:id', get],
    ['delete', '/api/v1/media/tasks/:id', cancel],
  ];
}
