// NestJS on Express: the sessions are a middleware like any other.
// npm i @nestjs/common @nestjs/core @nestjs/platform-express reflect-metadata rxjs
import 'reflect-metadata'
import { Controller, Get, Module, Post, Req } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { Request } from 'express'
import { sessions } from 'silverback'

@Controller()
class Views {
  @Get()
  count(@Req() req: Request) {
    const session = req.session as { views?: number }
    session.views = (session.views ?? 0) + 1
    return { views: session.views }
  }

  @Post('logout')
  async logout(@Req() req: Request) {
    await req.session.destroy()
    return { views: 0 }
  }
}

@Module({ controllers: [Views] })
class AppModule {}

export async function create() {
  const app = await NestFactory.create(AppModule, { logger: ['error'] })
  app.use(sessions({ secret: process.env.SESSION_SECRET }))
  return app
}

if (require.main === module) void create().then((app) => app.listen(process.env.PORT ?? 3000))
