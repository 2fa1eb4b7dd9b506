// The screens, in the order of the navigation.
import type { FunctionComponent } from 'preact'
import { Cache } from './screens/cache'
import { Configuration } from './screens/configuration'
import { Overview } from './screens/overview'
import { Playground } from './screens/playground'
import { Providers } from './screens/providers'
import { Requests } from './screens/requests'
import { Tenants } from './screens/tenants'
import { Usage } from './screens/usage'
import type { IconName } from './ui/icons'

interface ScreenLine {
  name: IconName // in the address, too
  title: string
  view: FunctionComponent
}

export const screens: ScreenLine[] = [
  { name: 'overview', title: 'Overview', view: Overview },
  { name: 'playground', title: 'Playground', view: Playground },
  { name: 'requests', title: 'Requests', view: Requests },
  { name: 'usage', title: 'Usage', view: Usage },
  { name: 'providers', title: 'Providers', view: Providers },
  { name: 'cache', title: 'Cache', view: Cache },
  { name: 'tenants', title: 'Tenants', view: Tenants },
  { name: 'configuration', title: 'Configuration', view: Configuration },
]
